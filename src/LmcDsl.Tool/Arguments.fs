namespace LmcDsl.Tool

open Argu
open LmcDsl
open LmcDsl.Core.Runtime

/// Which network checkpoints are of, and how their names are read: what every command on models takes.
type ModelArgument =
    | [<MainCommand; ExactlyOnce>] Files of file: string list
    | [<Unique>] Arch of string
    | [<Unique>] Graph of file: string
    | [<Unique>] Graph_Output of name: string
    | [<Unique>] Width of multiplier: string
    | [<Unique>] Norm of string
    | [<Unique>] Hidden of int list
    | [<Unique>] Classes of int
    | [<Unique>] Input of int list
    | [<Unique>] Names of file: string
    | [<Unique>] Key of string list
    | [<Unique>] Data of string
    | [<Unique>] Normalise of string
    | [<Unique>] Search of string
    | [<Unique>] Starting_From of search: string
    | [<Unique>] Seed of int64
    | [<Unique>] Starts of int
    | [<Unique>] First_Groups of int
    | [<Unique>] Method of string
    | [<Unique>] Base of file: string
    | [<Unique>] Weights of string list
    | [<Unique>] Layer_Weights of assignment: string list
    | [<Unique>] Share of string
    | [<Unique>] Scale of string
    | [<Unique>] Density of string
    | [<Unique>] Reset_Stats of data: string
    | [<Unique>] Metric of string
    | [<Unique>] Points of int
    | [<Unique>] Json
    | [<Unique; AltCommandLine("-o")>] Output of file: string
    | [<Unique>] Device of string
    | [<Unique>] Threads of int

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Files _ ->
                "checkpoints: .safetensors, their .index.json or folder, .pt, .pth and .ckpt of torch.save; .onnx files and Hugging Face folders (config.json) are their own network."
            | Arch _ ->
                "mlp, a network of the catalogue (vgg16, resnet20, resnet50, ...), or a JSON file that describes a network."
            | Graph _ ->
                "in the place of --arch: an ONNX export of the network, from which layers and symmetries are read."
            | Graph_Output _ ->
                "which output of the graph is the network's, where the others may change (default: all stay, the first is measured)."
            | Width _ -> "width multiplier of a convolutional network (default: 1)."
            | Norm _ -> "batch, layer or none (default: batch)."
            | Hidden _ -> "hidden widths of an mlp."
            | Classes _ -> "number of classes (default: 10)."
            | Input _ ->
                "shape of one image (default: 3 32 32, of an mlp 1 28 28); of a graph, the sizes that it leaves open, in their order; of a folder's language model, how many tokens an example has (default: 32)."
            | Names _ ->
                "JSON file of patterns and replacements from the checkpoints' names to the network's, beside the usual ones."
            | Key _ ->
                "where in a file the model lies, for example ema or state_dict.teacher; one for all files, or one for each."
            | Data _ ->
                let known = Library.dataSets |> List.map _.Name |> String.concat ", "
                $"data for activations, losses and barriers: {known}, a part as mnist:2000+500, a .npz file, or a folder of pictures (train/CLASS, test/CLASS)."
            | Normalise _ ->
                "how inputs are scaled, as the checkpoints were trained: own (the data's own means and deviations; the default for images and CSV files), unit (bytes from 0 to 1), none (bytes from 0 to 255), and both leave values that are no bytes as they are (the default for those), or MEANS/DEVIATIONS, for example 0.1307/0.3081."
            | Search _ ->
                let known = Library.searches |> List.map _.Word |> String.concat ", "
                let onData = Library.searches |> List.filter _.ReadsTraining |> List.map _.Word |> String.concat ", "
                $"of align and merge: {known} (default: {OutwardWM.Word}; {onData} need --data). merge also takes none."
            | Starting_From _ -> "of align and merge: the search whose answer the search begins at."
            | Seed _ -> "of align and merge: seed of the search, and of what dare drops (default: 0)."
            | Starts _ -> "of align and merge: starts of the search, the best of which counts (default: 1)."
            | First_Groups _ ->
                "of align and merge: permute the units of the first groups only, of what the search finds for all (default: all)."
            | Method _ ->
                let known = Library.merges |> List.map _.Word |> String.concat ", "
                $"of merge: {known} (default: mean)."
            | Base _ ->
                "of merge: the checkpoint that task-arithmetic, ties, dare and dare-ties take differences to, and that all are aligned to (default: the first)."
            | Weights _ -> "of merge by mean: a weight for each model, which sum to 1: 0.7 0.3."
            | Layer_Weights _ ->
                "of merge by layers: weights of some layers, as fc1=1,0 'block2.*=0.7,0.3'; other layers are averaged evenly."
            | Share _ -> "of merge by spherical: share of the second model, 0 to 1 (default: 0.5)."
            | Scale _ ->
                "of merge by task-arithmetic, ties, dare and dare-ties: what task vectors are multiplied by (default: 1 over their number, for ties and dare-ties 1)."
            | Density _ ->
                "of merge by ties, dare and dare-ties: share of numbers that is kept, above 0 and at most 1 (default: 0.2, for dare 0.5)."
            | Reset_Stats _ -> "of merge: recompute batch-norm statistics of the merged model on this data set."
            | Metric _ ->
                let known = Library.metrics |> List.map _.Word |> String.concat ", "
                $"of measure: what to measure, with commas between: {known} (default: l2,r)."
            | Points _ -> "of measure: lambdas of a barrier, or points on each side of a plane (default: 25, 11)."
            | Json -> "print JSON."
            | Output _ ->
                "of align and merge: the file to write (.safetensors, .onnx where the models are), or a new folder where they are Hugging Face folders."
            | Device _ -> "cpu, cuda or cuda:N (default: cpu)."
            | Threads _ -> "threads of one operation (default: all cores)."

/// Which arguments a command uses.
[<RequireQualifiedAccess>]
module ModelArgument =

    // The argument's name on the command line, and the commands that use it; all of them where it is not named here.
    let private users (argument: ModelArgument) : string * string list =
        match argument with
        | Search _ -> "--search", [ "align"; "merge" ]
        | Starting_From _ -> "--starting-from", [ "align"; "merge" ]
        | Seed _ -> "--seed", [ "align"; "merge" ]
        | Starts _ -> "--starts", [ "align"; "merge" ]
        | Output _ -> "--output", [ "align"; "merge" ]
        | First_Groups _ -> "--first-groups", [ "align"; "merge" ]
        | Method _ -> "--method", [ "merge" ]
        | Base _ -> "--base", [ "merge" ]
        | Weights _ -> "--weights", [ "merge" ]
        | Layer_Weights _ -> "--layer-weights", [ "merge" ]
        | Share _ -> "--share", [ "merge" ]
        | Scale _ -> "--scale", [ "merge" ]
        | Density _ -> "--density", [ "merge" ]
        | Reset_Stats _ -> "--reset-stats", [ "merge" ]
        | Metric _ -> "--metric", [ "measure" ]
        | Points _ -> "--points", [ "measure" ]
        | Arch _ -> "--arch", [ "align"; "merge"; "measure" ]
        | Graph _ -> "--graph", [ "align"; "merge"; "measure" ]
        | Files _
        | Graph_Output _
        | Width _
        | Norm _
        | Hidden _
        | Classes _
        | Input _
        | Threads _
        | Json -> "", [ "align"; "merge"; "measure"; "describe" ]
        | Names _ -> "--names", [ "align"; "merge"; "measure" ]
        | Key _ -> "--key", [ "align"; "merge"; "measure" ]
        | Data _ -> "--data", [ "align"; "merge"; "measure" ]
        | Normalise _ -> "--normalise", [ "align"; "merge"; "measure" ]
        | Device _ -> "--device", [ "align"; "merge"; "measure" ]

    /// The models in their order: what differences are taken to comes first, since all are aligned to it and what is written is like it.
    let models (arguments: ParseResults<ModelArgument>) : string list =
        Option.toList (arguments.TryGetResult Base) @ arguments.GetResult Files

    // Files come first on most lines, so that an option that there is none of is taken for one of them.
    let private requireFiles (command: string) (arguments: ParseResults<ModelArgument>) : unit =
        let known =
            [
                for case in arguments.Parser.GetArgumentCases() do
                    yield! case.CommandLineNames.Value
            ]

        for file in arguments.GetResult(Files, defaultValue = []) do
            if file.StartsWith "--" then
                let option = file.Split('=').[0]
                raise (Usage($"lmc {command}: expected an argument, found '{option}'{Nearest.Hint(option, known)}", 2))

    /// Raises `Usage` where an argument is given that the command does not use: whoever gave it meant something by it.
    let requireUsed (command: string) (arguments: ParseResults<ModelArgument>) : unit =
        requireFiles command arguments

        if arguments.Contains Normalise && not (arguments.Contains Data || arguments.Contains Reset_Stats) then
            raise (Usage($"lmc {command}: --normalise is of --data or --reset-stats, found neither", 2))

        for argument in arguments.GetAllResults() do
            let name, commands = users argument

            if not (List.contains command commands) then
                let others = String.concat " and " commands
                raise (Usage($"lmc {command}: {name} is an argument of {others}, not of {command}", 2))

/// What to do with a store of results.
type StoreArgument =
    | [<MainCommand; ExactlyOnce>] Action of string list
    | [<Unique>] Store of folder: string
    | [<Unique>] Json
    | [<Unique; AltCommandLine("-o")>] Output of file: string

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Action _ -> "list, verify, gc, export KEY, pack, or unpack FILE."
            | Store _ -> "the store's folder (default: results/store)."
            | Json -> "print JSON."
            | Output _ -> "the file to write."
