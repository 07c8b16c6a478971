module LmcDsl.Tool.Program

open System
open Argu
open LmcDsl
open LmcDsl.Core.Runtime

let private usage =
    """lmc: align, merge and measure trained networks

  lmc align A B --arch ARCH -o OUT         permute B's units so that it comes into A's basin
  lmc merge A B [C ...] --arch ARCH -o OUT the models as one, each aligned to the first: mean, TIES, ...
  lmc measure A B [C ...] --arch ARCH      distance, agreement of singular vectors, barrier, of each pair
  lmc describe MODEL.onnx|FOLDER|ARCH      layers, groups, what is fixed and by which node
  lmc plan SCRIPT [ARGUMENTS]              what an experiment would do, and what of it is done
  lmc run SCRIPT [ARGUMENTS]               run an experiment, here or on a cluster
  lmc store list|verify|gc|export KEY      what a store of results holds
  lmc store pack|unpack FILE               its measurements as one file, without models
  lmc prelude                              the #r lines for a script of your own
  lmc new NAME                             a folder with an experiment, ready to run
  lmc new network NETWORK                  a network's description, to change and to use as --arch

Examples
  lmc align a.safetensors b.safetensors --arch resnet20 --width 4 -o b-aligned.safetensors
  lmc merge a.pt b.pt c.pt --arch vgg11 --reset-stats cifar-10 -o merged.safetensors
  lmc measure a.safetensors b.safetensors --arch mlp --metric barrier,l2,r --data mnist --json
  lmc align a.pt b.pt --graph model.onnx -o b-aligned.safetensors
  lmc merge bert-a/ bert-b/ -o merged/     folders with a config.json need no --arch
  lmc plan experiments/figure2.fsx --scale smoke
  lmc run experiments/figure2.fsx --on slurm --jobs 32
  lmc store verify --store results/store
  lmc prelude > prelude.fsx                then, in a script: #load "prelude.fsx"

`lmc COMMAND --help` shows a command's arguments.
Exit codes: 0 done, 1 a mistake in what was given (told in one line), 2 a wrong argument, 130 interrupted."""

// What a command answers. A closed or full standard output is told as what it is.
let private say (line: string) =
    try
        Console.WriteLine line
    with
    | :? IO.IOException
    | :? UnauthorizedAccessException as error ->
        raise (LmcException($"standard output: expected to write the answer: {error.Message}", error))

// JSON for machines, a line for each field for people.
let private show json (result: Json) =
    if json then
        say (Json.text result)
    else
        let rec text (value: Json) =
            match value with
            | Json.Text text -> VisibleText.Of text
            | Json.Number _ -> Number.shortest (Math.Round(value.Float, 6))
            | Json.Array items when items.IsEmpty -> "none"
            | Json.Array items -> items |> List.map text |> String.concat "; "
            | Json.Object fields ->
                fields |> List.map (fun (name, value) -> $"{VisibleText.Of name} {text value}") |> String.concat ", "
            | other -> Json.text other

        match result with
        | Json.Object fields ->
            for name, value in fields do
                say $"{VisibleText.Of name}: {text value}"
        | Json.Array items ->
            for item in items do
                say (text item)
        | other -> say (text other)

let private examples =
    dict [
        "align", "lmc align a.safetensors b.safetensors --arch resnet20 --width 4 --search wm -o b-aligned.safetensors"
        "merge", "lmc merge a.pt b.pt c.pt --arch arch.json --reset-stats cifar-10 -o merged.safetensors"
        "measure", "lmc measure a.safetensors b.safetensors --arch vgg11 --metric barrier,l2,r --data cifar-10 --json"
        "describe", "lmc describe model.onnx"
        "store", "lmc store verify --store results/store"
    ]

let private parse<'argument when 'argument :> IArgParserTemplate> (command: string) (words: string list) =
    let parser =
        ArgumentParser.Create<'argument>(
            programName = $"lmc {command}",
            helpTextMessage = $"Example: {examples[command]}"
        )

    Words.parse $"lmc {command}" parser words

let private onModels command words (run: ParseResults<ModelArgument> -> unit) =
    let arguments = parse<ModelArgument> command words
    ModelArgument.requireUsed command arguments
    TorchRuntime.Load() |> ignore
    AtWork.during (command :: words) (fun () -> run arguments)

let private answering run cancel (arguments: ParseResults<ModelArgument>) =
    show (arguments.Contains ModelArgument.Json) (run arguments cancel)

// Tables for people, after what they rest on.
let private tabulating (without: string list) run (arguments: ParseResults<ModelArgument>) =
    let json, tables = run arguments

    if arguments.Contains ModelArgument.Json then
        show true json
    else
        match json with
        | Json.Object fields ->
            show false (Json.Object(fields |> List.filter (fun (name, _) -> not (List.contains name without))))
        | _ -> ()

        for table in tables do
            say ""
            say (TableText.plain table)

[<EntryPoint>]
let main words =
    CommandLine.guarded "lmc" "" (fun cancel ->
        match List.ofArray words with
        | "align" :: rest -> onModels "align" rest (answering AlignCommand.run cancel)
        | "merge" :: rest -> onModels "merge" rest (answering MergeCommand.run cancel)
        | "measure" :: rest ->
            onModels
                "measure"
                rest
                (tabulating [ "measured"; "rows" ] (fun arguments -> MeasureCommand.run arguments cancel))
        | "describe" :: rest -> onModels "describe" rest (tabulating [ "groups"; "fixed" ] DescribeCommand.run)
        | "plan" :: rest -> ScriptCommand.plan rest
        | "run" :: rest -> ScriptCommand.run rest
        | [ "prelude" ] -> say (ScriptCommand.prelude ())
        | "new" :: rest -> NewCommand.run say rest
        | "store" :: rest ->
            let arguments = parse<StoreArgument> "store" rest
            show (arguments.Contains StoreArgument.Json) (StoreCommand.run arguments)
        | []
        | [ "--help" ]
        | [ "help" ] -> say usage
        | other :: _ ->
            let known = [ "align"; "merge"; "measure"; "describe"; "plan"; "run"; "store"; "prelude"; "new" ]

            let listed = String.concat ", " known
            let hint = Nearest.Hint(other, known)
            raise (Usage($"lmc: expected one of {listed}, found '{other}'{hint} (what there is: lmc --help)", 2)))
