namespace LmcDsl.Tool

open System
open System.IO
open Argu
open LmcDsl
open LmcDsl.Core.Architectures
open LmcDsl.Core.Checkpoints
open LmcDsl.Core.Data
open LmcDsl.Core.Runtime

/// The models that a command works on: checkpoints, open, with the network that they are of.
type Models =
    {
        /// The network.
        Network: Network
        /// The checkpoints, in order, each with which parameter every tensor is.
        Placements: Placement list
        /// Their parameters, on the device.
        Parameters: ParameterSet list
    }

    interface IDisposable with
        /// Closes the files and frees the parameters.
        member this.Dispose() =
            for model in this.Parameters do
                model.Dispose()

            for placement in this.Placements do
                placement.Source.Dispose()

/// Reading what the command line names.
[<RequireQualifiedAccess>]
module Models =

    // Numbers beyond these are slips: they would take all memory, or for ever.
    let private within (name: string) least most value =
        if not (value >= least && value <= most) then
            raise (LmcException $"{name}: expected {least} to {most}, found {value}")

        value

    let private sizes (name: string) (found: int list) =
        within $"{name}: how many sizes" 1 64 found.Length |> ignore

        for size in found do
            within name 1 1_000_000 size |> ignore

        List.toArray found

    let private norm name =
        match name with
        | "batch" -> Norm.Batch
        | "layer" -> Norm.Layer
        | "none" -> Norm.None
        | _ -> raise (LmcException $"--norm: expected batch, layer or none, found '{name}'")

    /// The network that the arguments describe.
    let network (arguments: ParseResults<ModelArgument>) : Network =
        let arch = arguments.GetResult ModelArgument.Arch
        let width = arguments.GetResult(ModelArgument.Width, defaultValue = 1.0) |> within "--width" 0.001 1000.0
        let norm = norm (arguments.GetResult(ModelArgument.Norm, defaultValue = "batch"))
        let classes = arguments.GetResult(ModelArgument.Classes, defaultValue = 10) |> within "--classes" 1 1_000_000
        let image = if arch = "mlp" then [ 1; 28; 28 ] else [ 3; 32; 32 ]
        let input = sizes "--input" (arguments.GetResult(ModelArgument.Input, defaultValue = image))

        (1.0, input)
        ||> Array.fold (fun product size -> product * float size)
        |> within "--input: all sizes together" 1.0 1e9
        |> ignore

        let architecture =
            match arch with
            | "mlp" ->
                Catalogue.Mlp(
                    input,
                    sizes "--hidden" (arguments.GetResult(ModelArgument.Hidden, defaultValue = [ 512; 512; 512 ])),
                    classes
                )
            | name when Seq.contains name Catalogue.Names -> Catalogue.Named(name, input, width, classes, norm)
            | file when Path.Exists file -> Architecture.FromJson(InputFile.ReadText(file, "a network's description"))
            | other ->
                raise (
                    LmcException
                        $"""--arch: expected mlp, {String.concat ", " Catalogue.Names} or a file that describes a network, found '{other}'{Nearest.Hint(other, Catalogue.Names)}"""
                )

        Network architecture

    /// The device that the arguments name.
    let device (arguments: ParseResults<ModelArgument>) =
        TorchRuntime.Device(arguments.GetResult(ModelArgument.Device, defaultValue = "cpu"))

    /// How many starts a search has.
    let starts (arguments: ParseResults<ModelArgument>) =
        arguments.GetResult(ModelArgument.Starts, defaultValue = 1) |> within "--starts" 1 10_000

    /// How many points a barrier has.
    let points (arguments: ParseResults<ModelArgument>) =
        arguments.GetResult(ModelArgument.Points, defaultValue = 25) |> within "--points" 2 10_000

    // Names of checkpoints as the user's map reads them, and what is left to read by the usual ones.
    let private names network (arguments: ParseResults<ModelArgument>) =
        let usual = NameMap.For network

        match arguments.TryGetResult ModelArgument.Names with
        | Some file -> NameMap.FromJson(InputFile.ReadText(file, "a map of names"), file).Then usual
        | None -> usual

    // One key for all files, or one for each.
    let private keys (files: string list) (arguments: ParseResults<ModelArgument>) : (string | null) list =
        match arguments.TryGetResult ModelArgument.Key with
        | None -> files |> List.map (fun _ -> null)
        | Some [ key ] -> files |> List.map (fun _ -> key)
        | Some keys when keys.Length = files.Length -> keys |> List.map (fun key -> key)
        | Some keys ->
            raise (
                LmcException $"--key: expected one key, or one for each of {files.Length} files, found {keys.Length}"
            )

    /// Opens and reads every checkpoint. Expects at least `least` of them.
    let load (least: int) (arguments: ParseResults<ModelArgument>) : Models =
        arguments.GetResult(ModelArgument.Threads, defaultValue = Environment.ProcessorCount)
        |> within "--threads" 1 1024
        |> TorchRuntime.UseThreads

        let files = arguments.GetResult ModelArgument.Files

        if files.Length < least then
            raise (LmcException $"expected {least} or more checkpoints, found {files.Length}")

        let network = network arguments
        let device = device arguments
        let names = names network arguments
        let opened = ResizeArray<Placement>()
        let read = ResizeArray<ParameterSet>()

        try
            for file, key in List.zip files (keys files arguments) do
                opened.Add(Checkpoint.Open(file, network, names, key))

            for placement in opened do
                Stage.during $"reading {placement.Source.Path}" (fun () ->
                    use model = Checkpoint.Load placement
                    read.Add(model.To device))

            {
                Network = network
                Placements = List.ofSeq opened
                Parameters = List.ofSeq read
            }
        with _ ->
            for model in read do
                model.Dispose()

            for placement in opened do
                placement.Source.Dispose()

            reraise ()

    /// What was decided in reading the files, as a field of an answer where there was anything to decide.
    let said (models: Models) : (string * Json) list =
        match
            [
                for placement in models.Placements do
                    if placement.Note <> "" then
                        placement.Note
            ]
        with
        | [] -> []
        | notes -> [ "read", Json.texts notes ]

    /// The data set of an argument, read onto the device.
    let data (argument: string) (name: string) (arguments: ParseResults<ModelArgument>) : ImageData =
        let dataset = Library.dataSet argument name
        let loaded = Stage.during $"reading {name}" (fun () -> DataSet.load dataset)
        let device = device arguments

        if device.``type`` = TorchSharp.DeviceType.CPU then
            loaded
        else
            use onCpu = loaded
            onCpu.To device

    /// The data set of `--data`, which `why` needs.
    let requiredData why (arguments: ParseResults<ModelArgument>) : ImageData =
        match arguments.TryGetResult ModelArgument.Data with
        | Some name -> data "--data" name arguments
        | None -> raise (LmcException $"--data: {why} needs a data set, found none")

    /// Writes a file that is there whole or not at all.
    let save (path: string) (write: Stream -> unit) : unit =
        Stage.during $"writing {path}" (fun () -> AtomicFile.write path write)

    /// The file to write. What commands that were killed left of theirs in its folder is removed.
    let output (arguments: ParseResults<ModelArgument>) : string =
        match arguments.TryGetResult ModelArgument.Output with
        | Some file when Directory.Exists file ->
            raise (LmcException $"--output: expected a file to write, found the folder '{file}'")
        | Some file when file.EndsWith ".safetensors" ->
            match Path.GetDirectoryName(Path.GetFullPath file) with
            | null -> ()
            | folder -> AtomicFile.sweep folder "*.safetensors." |> ignore

            AtomicFile.ready file // told before the work
            file
        | Some file -> raise (LmcException $"--output: expected a name that ends in .safetensors, found '{file}'")
        | None -> raise (LmcException "--output: expected the file to write, found none")
