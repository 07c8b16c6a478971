namespace LmcDsl.Tool

open System
open System.IO
open Argu
open LmcDsl
open LmcDsl.Core.Architectures
open LmcDsl.Core.Checkpoints
open LmcDsl.Core.Importing
open LmcDsl.Core.Runtime

/// The network that a command line names: a word of the catalogue, a description, a graph, or a folder's own.
[<RequireQualifiedAccess>]
module NetworkArguments =

    /// Which of a graph's outputs is the network's, where the command line says it.
    let graphOutput (arguments: ParseResults<ModelArgument>) : string | null =
        arguments.TryGetResult ModelArgument.Graph_Output |> Option.toObj

    /// Sizes of an example, where the command line says them: what a graph leaves open, how many tokens a folder's model reads.
    let openSizes (arguments: ParseResults<ModelArgument>) : int[] | null =
        arguments.TryGetResult ModelArgument.Input |> Option.map (ArgumentValues.sizes "--input") |> Option.toObj

    // The graph that an ONNX file holds.
    let private graph (arguments: ParseResults<ModelArgument>) (file: string) : Network * OnnxModel option =
        let model = OnnxModel.Read(file, graphOutput arguments, openSizes arguments)
        Network model.Architecture, Some model

    /// What was decided in reading a graph: the sizes that it leaves open where none are given, which of several outputs is measured.
    let decided (model: OnnxModel) : (string * Json) list =
        [
            match model.TakenSizes with
            | null -> ()
            | sizes ->
                let shown = String.Join(" ", sizes)
                "open sizes", Json.Text $"taken as {shown}; --input says others"

            if model.Outputs.Count > 1 then
                let shown = Excerpt.Of(model.Outputs, 5)

                "outputs",
                Json.Text
                    $"{shown}: all stay what they are, '{Excerpt.Of model.Outputs[0]}' is measured; --graph-output takes one alone"
        ]

    // What networks of the catalogue alone leave open, and whether it is given.
    let private ofCatalogue (arguments: ParseResults<ModelArgument>) =
        [
            arguments.Contains ModelArgument.Width, "--width"
            arguments.Contains ModelArgument.Norm, "--norm"
            arguments.Contains ModelArgument.Hidden, "--hidden"
            arguments.Contains ModelArgument.Classes, "--classes"
        ]

    /// Refuses arguments that say what is read from a folder's own description.
    let requireNoOther (arguments: ParseResults<ModelArgument>) =
        for isGiven, name in
            ofCatalogue arguments
            @ [
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
        && ModelArgument.models arguments |> List.exists Directory.Exists

    /// Opens a folder that says what its model is.
    let openFolder (arguments: ParseResults<ModelArgument>) (path: string) : ModelFolder =
        ModelFolder.Open(path, openSizes arguments)

    // The network that an architecture's word describes, or a file of it.
    let private named (arguments: ParseResults<ModelArgument>) (arch: string) : Network * OnnxModel option =

        let width =
            arguments.GetResult(ModelArgument.Width, defaultValue = "1")
            |> ArgumentValues.number "--width"
            |> ArgumentValues.within "--width" 0.001 1000.0

        let norm = ArgumentValues.norm (arguments.GetResult(ModelArgument.Norm, defaultValue = "batch"))

        let classes =
            arguments.GetResult(ModelArgument.Classes, defaultValue = 10)
            |> ArgumentValues.within "--classes" 1 1_000_000

        let image = if arch = "mlp" then [ 1; 28; 28 ] else [ 3; 32; 32 ]
        let input = ArgumentValues.sizes "--input" (arguments.GetResult(ModelArgument.Input, defaultValue = image))

        (1.0, input)
        ||> Array.fold (fun product size -> product * float size)
        |> ArgumentValues.within "--input: all sizes together" 1.0 1e9
        |> ignore

        let catalogued () =
            match arch with
            | "mlp" ->
                Catalogue.Mlp(
                    input,
                    ArgumentValues.sizes
                        "--hidden"
                        (arguments.GetResult(ModelArgument.Hidden, defaultValue = [ 512; 512; 512 ])),
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
        elif arguments.Contains ModelArgument.Graph_Output then
            raise (Usage($"lmc: --graph-output is for a graph, found {arch}", 2))
        else
            Network(catalogued ()), None

    // What a graph says itself.
    let private requireNoCatalogue (arguments: ParseResults<ModelArgument>) (found: string) =
        for isGiven, name in ofCatalogue arguments do
            if isGiven then
                raise (Usage($"lmc: {name} is for a network of the catalogue (--arch), found {found}", 2))

    /// Requires an ONNX file among the models to hold the graph that the network was read from. Raises `LmcException` where it holds another.
    let requireGraph
        (arguments: ParseResults<ModelArgument>)
        (network: Network, first: OnnxModel)
        (file: string)
        : unit =
        let bare (network: Network) = Architecture("", network.Architecture.Input, network.Architecture.Nodes).ToJson()

        match graph arguments file with
        | other, Some model ->
            first.RequireConstants model

            if bare other <> bare network then
                raise (LmcException $"{file}: expected the graph of {first.File}, found another")
        | _, None -> ()

    /// The network that the arguments describe, with the graph that it was read from, where it was.
    let network (arguments: ParseResults<ModelArgument>) : Network * OnnxModel option =
        let files = ModelArgument.models arguments

        match arguments.TryGetResult ModelArgument.Arch, arguments.TryGetResult ModelArgument.Graph with
        | Some _, Some _ -> raise (Usage("lmc: expected one of --arch and --graph, found both", 2))
        | Some arch, None ->
            if TensorSource.IsOnnx arch then
                requireNoCatalogue arguments "a graph"

            named arguments arch
        | None, Some file ->
            requireNoCatalogue arguments "--graph"
            graph arguments file
        | None, None when files |> List.forall TensorSource.IsOnnx ->
            requireNoCatalogue arguments "an ONNX file"
            graph arguments files.Head
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
