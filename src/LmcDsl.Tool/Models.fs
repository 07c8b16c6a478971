namespace LmcDsl.Tool

open System
open System.IO
open Argu
open LmcDsl
open LmcDsl.Core.Architectures
open LmcDsl.Core.Checkpoints
open LmcDsl.Core.Importing
open LmcDsl.Core.Merging
open LmcDsl.Core.Permutations
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
        /// What was decided in reading the graph: sizes that it leaves open, names that the export lost.
        Decided: (string * Json) list
        /// The folders that they were read from, where each describes its network itself; else none.
        Folders: ModelFolder list
        /// How well the derived symmetries held on the first model, in words; empty where the network is of the library's own layers.
        Law: string
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

    // Symmetries that were read off somebody's graph are tried on the model itself before anything rests on them.
    let private law (network: Network) (model: ParameterSet) : string =
        let struct (largest, nodes) =
            Stage.during "trying the symmetries on the model" (fun () -> SymmetryCheck.Measure model)

        if not (largest.Error <= SymmetryCheck.Tolerance) then
            raise (
                LmcException
                    $"network '{network.Architecture.Name}': expected outputs that follow a permutation of the units, found a difference of {largest.Error:E1} at '{largest.Node}': its symmetries are not those that were derived, and nothing is aligned"
            )

        let all = network.Outputs.Length

        let where =
            if nodes = all then
                $"at each of {all} nodes"
            else
                $"at the first {nodes} of {all} nodes; '{network.Outputs[nodes].Node}' cannot be computed"

        $"3 random permutations change the first model's outputs by at most {largest.Error:E1} {where}"

    /// Opens and reads every checkpoint. Expects at least `least` of them.
    let load (least: int) (arguments: ParseResults<ModelArgument>) : Models =
        arguments.GetResult(ModelArgument.Threads, defaultValue = Environment.ProcessorCount)
        |> ArgumentValues.within "--threads" 1 1024
        |> TorchRuntime.UseThreads

        let files = ModelArgument.models arguments

        if files.Length < least then
            raise (LmcException $"expected {least} or more checkpoints, found {files.Length}")

        let device = ArgumentValues.device arguments
        let folders = ResizeArray<ModelFolder>()
        let opened = ResizeArray<Placement>()
        let read = ResizeArray<ParameterSet>()

        try
            let network, graph, found =
                if NetworkArguments.areFolders arguments then
                    NetworkArguments.requireNoOther arguments

                    for file in files do
                        folders.Add(NetworkArguments.openFolder arguments file)
                        folders[0].RequireSame folders[folders.Count - 1]

                    let network = Network folders[0].Architecture

                    for folder in folders do
                        opened.Add(folder.Place network)

                    network, None, ""
                else
                    let network, graph = NetworkArguments.network arguments

                    for file in files do
                        match graph with
                        | Some model when TensorSource.IsOnnx file ->
                            NetworkArguments.requireGraph arguments (network, model) file
                        | _ -> ()

                    let keyed = List.zip files (ArgumentValues.keys files arguments)

                    let network, found =
                        match graph with
                        | Some model when not (files |> List.exists TensorSource.IsOnnx) ->
                            CheckpointNames.fitting arguments model network keyed
                        | _ -> network, ""

                    let names = CheckpointNames.ofCheckpoints network graph arguments

                    for file, key in keyed do
                        opened.Add(CheckpointNames.open' arguments network names (file, key))
                        graph |> Option.iter _.RequireConstants(opened[opened.Count - 1], names)

                    network, graph, found

            for placement in opened do
                let total = Stage.bytesOf placement.Source.Entries

                Stage.moving $"reading {placement.Source.Path}" total (fun tell ->
                    let model = Checkpoint.Load(placement, tell)

                    if device.``type`` = TorchSharp.DeviceType.CPU then
                        read.Add model
                    else
                        use onCpu = model
                        read.Add(onCpu.To device))

            // A graph is written with all its outputs, of which the network has one.
            match graph, files |> List.tryFindIndex TensorSource.IsOnnx with
            | Some model, Some index ->
                match model.ChangedOutput read[index] with
                | null -> ()
                | other ->
                    raise (
                        LmcException
                            $"{files[index]}: expected outputs that a permutation of the units leaves as they are, found that '{other}' changes, which is not the network's; without --graph-output all are"
                    )
            | _ -> ()

            {
                Network = network
                Placements = List.ofSeq opened
                Parameters = List.ofSeq read
                Folders = List.ofSeq folders
                Decided =
                    [
                        yield! graph |> Option.map NetworkArguments.decided |> Option.defaultValue []

                        if found <> "" then
                            "names", Json.Text found
                    ]
                Law = if graph.IsSome || folders.Count > 0 then law network read[0] else ""
            }
        with _ ->
            for model in read do
                model.Dispose()

            for placement in opened do
                placement.Source.Dispose()

            for folder in folders do
                folder.Dispose()

            reraise ()

    /// What was decided in reading the files, as a field of an answer where there was anything to decide.
    let said (models: Models) : (string * Json) list =
        [
            match
                [
                    for placement in models.Placements do
                        if placement.Note <> "" then
                            placement.Note

                    for folder in models.Folders do
                        yield! folder.Notes

                    for folder in List.skip (min 1 models.Folders.Length) models.Folders do
                        if models.Folders.Head.HasOtherLabels folder then
                            $"{folder.Path}: other names of classes (id2label) than in {models.Folders.Head.Path}: a class's number may not mean the same class"

                        match List.ofSeq (models.Folders.Head.OtherTokenizer folder) with
                        | [] -> ()
                        | files ->
                            let listed = String.concat ", " files

                            $"{folder.Path}: other content of {listed} than in {models.Folders.Head.Path}: a token's number may not mean the same token"
                ]
            with
            | [] -> ()
            | notes -> "read", Json.texts notes

            yield! models.Decided

            if models.Law <> "" then
                "symmetries", Json.Text models.Law

                match [ for note in models.Network.Notes -> note ] with
                | [] -> ()
                | notes -> "fixed", Json.texts notes
        ]

    /// A population of the models, as searches and metrics of scripts take it, whose steps are made in memory.
    let population
        (memory: InMemory)
        (arguments: ParseResults<ModelArgument>)
        (models: Models)
        (data: DataSet option)
        : Population =
        let nodes =
            [
                for placement, model in List.zip models.Placements models.Parameters ->
                    memory.Given(placement.Source.Path, model)
            ]

        let data = data |> Option.defaultValue Glyphs // read by nobody: who needs one asks for it
        let resetOn = if StatisticsReset.Concerns models.Network then Some 10_000 else None
        let device = arguments.GetResult(ModelArgument.Device, defaultValue = "cpu")

        { Population.ofModels nodes data device resetOn with
            Taken = [ 0 .. nodes.Length - 1 ]
        }

    /// Does the work with values made in memory, which are freed after it.
    let inMemory (cancel: Threading.CancellationToken) (work: InMemory -> 'a) : 'a =
        use memory = new InMemory(cancel)
        work memory
