namespace LmcDsl.Tool

open System
open System.IO
open Argu
open LmcDsl
open LmcDsl.Core.Architectures
open LmcDsl.Core.Checkpoints
open LmcDsl.Core.Data
open LmcDsl.Core.Importing
open LmcDsl.Core.Runtime

/// The models that a command works on: checkpoints, open, with the network that they are of.
type Models =
    {
        /// The network.
        Network: Network
        /// The checkpoints, in order.
        Sources: TensorSource list
        /// How their names are read.
        Names: NameMap
        /// Their parameters, on the device.
        Parameters: ParameterSet list
    }

    interface IDisposable with
        /// Closes the files and frees the parameters.
        member this.Dispose() =
            for model in this.Parameters do
                model.Dispose()

            for source in this.Sources do
                source.Dispose()

/// Reading what the command line names.
[<RequireQualifiedAccess>]
module Models =

    let private norm name =
        match name with
        | "batch" -> Norm.Batch
        | "layer" -> Norm.Layer
        | "none" -> Norm.None
        | _ -> raise (LmcException $"--norm: expected batch, layer or none, found '{name}'")

    /// The network that the arguments describe.
    let network (arguments: ParseResults<ModelArgument>) : Network =
        let arch = arguments.GetResult ModelArgument.Arch
        let width = arguments.GetResult(ModelArgument.Width, defaultValue = 1.0)
        let norm = norm (arguments.GetResult(ModelArgument.Norm, defaultValue = "batch"))
        let classes = arguments.GetResult(ModelArgument.Classes, defaultValue = 10)
        let image = if arch = "mlp" then [ 1; 28; 28 ] else [ 3; 32; 32 ]
        let input = List.toArray (arguments.GetResult(ModelArgument.Input, defaultValue = image))

        let architecture =
            match arch with
            | "mlp" ->
                let hidden = arguments.GetResult(ModelArgument.Hidden, defaultValue = [ 512; 512; 512 ])
                Catalogue.Mlp(input, List.toArray hidden, classes)
            | name when Seq.contains name Catalogue.Names -> Catalogue.Named(name, input, width, classes, norm)
            | file when file.EndsWith ".onnx" -> OnnxModel.Read(file).Architecture
            | file when File.Exists file -> Architecture.FromJson(File.ReadAllText file)
            | other ->
                raise (
                    LmcException
                        $"""--arch: expected mlp, {String.concat ", " Catalogue.Names} or a file that describes a network (JSON or ONNX), found '{other}'{Nearest.Hint(other, Catalogue.Names)}"""
                )

        Network architecture

    /// The device that the arguments name.
    let device (arguments: ParseResults<ModelArgument>) =
        TorchRuntime.Device(arguments.GetResult(ModelArgument.Device, defaultValue = "cpu"))

    /// Opens and reads every checkpoint. Expects at least `least` of them.
    let load (least: int) (arguments: ParseResults<ModelArgument>) : Models =
        TorchRuntime.UseThreads(arguments.GetResult(ModelArgument.Threads, defaultValue = Environment.ProcessorCount))
        let files = arguments.GetResult ModelArgument.Files

        if files.Length < least then
            raise (LmcException $"expected {least} or more checkpoints, found {files.Length}")

        let network = network arguments
        let device = device arguments

        let names =
            match arguments.TryGetResult ModelArgument.Names with
            | Some file when File.Exists file -> NameMap.FromJson(File.ReadAllText file, file)
            | Some file -> raise (LmcException $"--names: expected a file, found no '{file}'")
            | None -> NameMap.For network

        let sources = files |> List.map TensorSource.Open

        let read (source: TensorSource) =
            Stage.during $"reading {source.Path}" (fun () ->
                use model = Checkpoint.Load(source, network, names)
                model.To device)

        {
            Network = network
            Sources = sources
            Names = names
            Parameters = sources |> List.map read
        }

    /// The data set of an argument, read onto the device.
    let data (argument: string) (name: string) (arguments: ParseResults<ModelArgument>) : ImageData =
        match DataSet.tryParse name with
        | Some dataset ->
            let loaded = Stage.during $"reading {name}" (fun () -> DataSource.load dataset)
            let device = device arguments

            if device.``type`` = TorchSharp.DeviceType.CPU then
                loaded
            else
                use onCpu = loaded
                onCpu.To device
        | None ->
            let known = String.Join(", ", DataSet.all |> List.map DataSet.name)
            raise (LmcException $"{argument}: expected one of {known}, found '{name}'")

    /// The data set of `--data`, which `why` needs.
    let requiredData why (arguments: ParseResults<ModelArgument>) : ImageData =
        match arguments.TryGetResult ModelArgument.Data with
        | Some name -> data "--data" name arguments
        | None -> raise (LmcException $"--data: {why} needs a data set, found none")

    /// Writes a model under the names, types and text of the checkpoint that it came from. The file is there whole or not at all.
    let save (path: string) (model: ParameterSet) (like: TensorSource) (names: NameMap) : unit =
        AtomicFile.write path (fun stream -> Checkpoint.Save(stream, model, like, names))

    /// The file to write.
    let output (arguments: ParseResults<ModelArgument>) : string =
        match arguments.TryGetResult ModelArgument.Output with
        | Some file when file.EndsWith ".safetensors" -> file
        | Some file -> raise (LmcException $"--output: expected a name that ends in .safetensors, found '{file}'")
        | None -> raise (LmcException "--output: expected the file to write, found none")
