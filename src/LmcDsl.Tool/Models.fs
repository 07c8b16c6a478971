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

    // Numbers beyond these are slips: they would take all memory, or for ever.
    let private within (name: string) least most value =
        if not (value >= least && value <= most) then
            raise (LmcException $"{name}: expected {least} to {most}, found {value}")

        value

    // With a point, whatever the machine's language: "0,25" is no number.
    let private number (name: string) (text: string) : float =
        match Number.tryParse text with
        | Some value -> value
        | None -> raise (LmcException $"{name}: expected a number, found '{text}'")

    let private sizes (name: string) (found: int list) =
        within $"{name}: how many sizes" 1 64 found.Length |> ignore

        for size in found do
            within name 1 1_000_000 size |> ignore

        List.toArray found

    let private norm name = Words.oneOf "--norm" [ "batch", Norm.Batch; "layer", Norm.Layer; "none", Norm.None ] name

    // Which of a graph's outputs is the network's.
    let private graphOutput (arguments: ParseResults<ModelArgument>) : string | null =
        arguments.TryGetResult ModelArgument.Graph_Output |> Option.toObj

    // Sizes of an example, where the command line says them: what a graph leaves open, how many tokens a folder's model reads.
    let private openSizes (arguments: ParseResults<ModelArgument>) : int[] | null =
        arguments.TryGetResult ModelArgument.Input |> Option.map (sizes "--input") |> Option.toObj

    // The graph that an ONNX file holds.
    let private graph (arguments: ParseResults<ModelArgument>) (file: string) : Network * OnnxModel option =
        let model = OnnxModel.Read(file, graphOutput arguments, openSizes arguments)
        Network model.Architecture, Some model

    /// Which sizes were taken where a graph leaves them open and none are given.
    let openedAt (model: OnnxModel) : (string * Json) list =
        match model.TakenSizes with
        | null -> []
        | sizes ->
            let shown = String.Join(" ", sizes)
            [ "open sizes", Json.Text $"taken as {shown}; --input says others" ]

    // What is read from a folder's own description is not to be said by arguments too.
    let private requireNoOther (arguments: ParseResults<ModelArgument>) =
        for isGiven, name in
            [
                arguments.Contains ModelArgument.Width, "--width"
                arguments.Contains ModelArgument.Norm, "--norm"
                arguments.Contains ModelArgument.Hidden, "--hidden"
                arguments.Contains ModelArgument.Classes, "--classes"
                arguments.Contains ModelArgument.Names, "--names"
                arguments.Contains ModelArgument.Key, "--key"
                arguments.Contains ModelArgument.Graph_Output, "--graph-output"
            ] do
            if isGiven then
                raise (
                    Usage(
                        $"lmc: {name} is for --arch or --graph; folders with a config.json describe their network themselves",
                        2
                    )
                )

    /// Whether the models are folders that say what they are.
    let areFolders (arguments: ParseResults<ModelArgument>) : bool =
        not (arguments.Contains ModelArgument.Arch || arguments.Contains ModelArgument.Graph)
        && arguments.GetResult ModelArgument.Files |> List.exists Directory.Exists

    let private openFolder (arguments: ParseResults<ModelArgument>) (path: string) : ModelFolder =
        ModelFolder.Open(path, openSizes arguments)

    // The network that an architecture's word describes, or a file of it.
    let private named (arguments: ParseResults<ModelArgument>) (arch: string) : Network * OnnxModel option =

        let width =
            arguments.GetResult(ModelArgument.Width, defaultValue = "1")
            |> number "--width"
            |> within "--width" 0.001 1000.0

        let norm = norm (arguments.GetResult(ModelArgument.Norm, defaultValue = "batch"))
        let classes = arguments.GetResult(ModelArgument.Classes, defaultValue = 10) |> within "--classes" 1 1_000_000
        let image = if arch = "mlp" then [ 1; 28; 28 ] else [ 3; 32; 32 ]
        let input = sizes "--input" (arguments.GetResult(ModelArgument.Input, defaultValue = image))

        (1.0, input)
        ||> Array.fold (fun product size -> product * float size)
        |> within "--input: all sizes together" 1.0 1e9
        |> ignore

        let catalogued () =
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
                        $"""--arch: expected mlp, {String.concat ", " Catalogue.Names} or a file that describes a network (JSON or ONNX), found '{other}'{Nearest.Hint(other, Catalogue.Names)}"""
                )

        if TensorSource.IsOnnx arch then
            graph arguments arch
        else
            Network(catalogued ()), None

    /// The network that the arguments describe, with the graph that it was read from, where it was.
    let network (arguments: ParseResults<ModelArgument>) : Network * OnnxModel option =
        let files = arguments.GetResult ModelArgument.Files

        match arguments.TryGetResult ModelArgument.Arch, arguments.TryGetResult ModelArgument.Graph with
        | Some _, Some _ -> raise (Usage("lmc: expected one of --arch and --graph, found both", 2))
        | Some arch, None -> named arguments arch
        | None, Some file -> graph arguments file
        | None, None when files |> List.forall TensorSource.IsOnnx ->
            let all = [ for file in files -> graph arguments file ]

            let bare (network: Network) =
                Architecture("", network.Architecture.Input, network.Architecture.Nodes).ToJson()

            for file, (other, _) in List.zip files all do
                if bare other <> bare (fst all.Head) then
                    raise (LmcException $"{file}: expected the graph of {files.Head}, found another")

            all.Head
        | None, None when files |> List.exists TensorSource.IsOnnx ->
            let graph = files |> List.find TensorSource.IsOnnx
            let other = files |> List.find (TensorSource.IsOnnx >> not)

            raise (
                LmcException
                    $"{other}: expected an ONNX file, as {graph} is, found another; checkpoints of that graph are read by --graph {graph}, and are then given alone"
            )
        | None, None ->
            raise (
                Usage(
                    "lmc: expected --arch or --graph, found neither; --arch names a network of the catalogue, --graph an ONNX export of your own (folders with a config.json need none)",
                    2
                )
            )

    /// The network of `lmc describe`: a word of the catalogue, a file, or a folder; and what was decided in reading it.
    let described (arguments: ParseResults<ModelArgument>) : Network * OnnxModel option * string list =
        match arguments.GetResult ModelArgument.Files with
        | [ folder ] when Directory.Exists folder ->
            requireNoOther arguments
            use read = openFolder arguments folder
            let network = Network read.Architecture
            let placement = read.Place network
            network, None, (if placement.Note = "" then [] else [ placement.Note ]) @ List.ofSeq read.Notes
        | [ one ] ->
            let network, graph = named arguments one
            network, graph, []
        | all -> raise (LmcException $"describe: expected one network, found {all.Length}")

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

    // A checkpoint as one of the network's.
    let private open' arguments network (names: NameMap) (file: string, key: string | null) : Placement =
        Checkpoint.Open(file, network, names, key, graphOutput arguments, openSizes arguments)

    // The network under the checkpoints' names: where the graph's do not fit, those that the numbers of one of the files say.
    let private named'
        (arguments: ParseResults<ModelArgument>)
        (model: OnnxModel)
        (network: Network)
        (files: (string * (string | null)) list)
        : Network * string =
        let fits (file, key) =
            try
                (open' arguments network (names network arguments) (file, key)).Source.Dispose()
                None
            with :? LmcException as error ->
                Some error

        match fits files.Head with
        | None -> network, ""
        | Some misfit ->
            let rename =
                arguments.TryGetResult ModelArgument.Names
                |> Option.map (fun file ->
                    let map = NameMap.FromJson(InputFile.ReadText(file, "a map of names"), file)
                    Func<string, string>(map.Apply))
                |> Option.toObj

            let search (file: string, key) =
                try
                    use source = TensorSource.Open(file, Placement.Fitting(network, names network arguments, key))
                    let named = model.Named(source, rename)

                    Choice1Of2(
                        Network named.Architecture,
                        $"those that the export lost, by the numbers of {file}: {named.Found}"
                    )
                with :? LmcException as error ->
                    Choice2Of2 error.Message

            let rec first told files =
                match files with
                | [] ->
                    let reasons = told |> List.rev |> List.distinct |> String.concat "; "

                    raise (
                        LmcException(
                            $"{misfit.Message}; the names were looked for by numbers: {reasons}; an export keeps names by: {OnnxModel.ExportLines}",
                            misfit
                        )
                    )
                | file :: rest ->
                    match Stage.during $"finding names in {fst file}" (fun () -> search file) with
                    | Choice1Of2 answer -> answer
                    | Choice2Of2 reason -> first (reason :: told) rest

            first [] (List.distinctBy fst files)

    /// Opens and reads every checkpoint. Expects at least `least` of them.
    let load (least: int) (arguments: ParseResults<ModelArgument>) : Models =
        arguments.GetResult(ModelArgument.Threads, defaultValue = Environment.ProcessorCount)
        |> within "--threads" 1 1024
        |> TorchRuntime.UseThreads

        // What differences are taken to comes first: all are aligned to it, and what is written is like it.
        let files = Option.toList (arguments.TryGetResult ModelArgument.Base) @ arguments.GetResult ModelArgument.Files

        if files.Length < least then
            raise (LmcException $"expected {least} or more checkpoints, found {files.Length}")

        let device = device arguments
        let folders = ResizeArray<ModelFolder>()
        let opened = ResizeArray<Placement>()
        let read = ResizeArray<ParameterSet>()

        try
            let network, graph, found =
                if areFolders arguments then
                    requireNoOther arguments

                    for file in files do
                        folders.Add(openFolder arguments file)
                        folders[0].RequireSame folders[folders.Count - 1]

                    let network = Network folders[0].Architecture

                    for folder in folders do
                        opened.Add(folder.Place network)

                    network, None, ""
                else
                    let network, graph = network arguments
                    let keyed = List.zip files (keys files arguments)

                    let network, found =
                        match graph with
                        | Some model when not (files |> List.exists TensorSource.IsOnnx) ->
                            named' arguments model network keyed
                        | _ -> network, ""

                    let names = names network arguments

                    for file, key in keyed do
                        opened.Add(open' arguments network names (file, key))

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
            match graph with
            | Some model when files |> List.forall TensorSource.IsOnnx ->
                match model.ChangedOutput read[0] with
                | null -> ()
                | other ->
                    raise (
                        LmcException
                            $"{files.Head}: expected outputs that a permutation of the units leaves as they are, found that '{other}' changes, which is not the network's; export the model with one of them"
                    )
            | _ -> ()

            {
                Network = network
                Placements = List.ofSeq opened
                Parameters = List.ofSeq read
                Folders = List.ofSeq folders
                Decided =
                    [
                        yield! graph |> Option.map openedAt |> Option.defaultValue []

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
