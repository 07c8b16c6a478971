namespace LmcDsl.Tool

open Argu

/// Which network checkpoints are of, and how their names are read: what every command on models takes.
type ModelArgument =
    | [<MainCommand; ExactlyOnce>] Files of file: string list
    | [<Mandatory; Unique>] Arch of string
    | [<Unique>] Width of float
    | [<Unique>] Norm of string
    | [<Unique>] Hidden of int list
    | [<Unique>] Classes of int
    | [<Unique>] Input of int list
    | [<Unique>] Names of file: string
    | [<Unique>] Key of string list
    | [<Unique>] Data of string
    | [<Unique>] Search of string
    | [<Unique>] Seed of int64
    | [<Unique>] Starts of int
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
            | Files _ -> "checkpoints: .safetensors, their .index.json or folder, or .pt, .pth and .ckpt of torch.save."
            | Arch _ ->
                "mlp, a network of the catalogue (vgg16, resnet20, resnet50, ...), or a JSON file that describes a network."
            | Width _ -> "width multiplier of a convolutional network (default: 1)."
            | Norm _ -> "batch, layer or none (default: batch)."
            | Hidden _ -> "hidden widths of an mlp."
            | Classes _ -> "number of classes (default: 10)."
            | Input _ -> "shape of one image (default: 3 32 32, of an mlp 1 28 28)."
            | Names _ ->
                "JSON file of patterns and replacements from the checkpoints' names to the network's, beside the usual ones."
            | Key _ ->
                "where in a file the model lies, for example ema or state_dict.teacher; one for all files, or one for each."
            | Data _ -> "data set for activations, losses and barriers: mnist, fashion-mnist, cifar-10, glyphs."
            | Search _ ->
                "wm (default), sinkhorn, am, ste or sinkhorn-ste; the last three need --data. merge also takes none."
            | Seed _ -> "seed of the search (default: 0)."
            | Starts _ -> "starts of the search, the best of which counts (default: 1)."
            | Reset_Stats _ -> "recompute batch-norm statistics of the merged model on this data set."
            | Metric _ -> "what to measure, with commas between: l2, r, barrier, accuracy (default: l2,r)."
            | Points _ -> "lambdas of the barrier (default: 25)."
            | Json -> "print JSON."
            | Output _ -> "the file to write (.safetensors)."
            | Device _ -> "cpu, cuda or cuda:N (default: cpu)."
            | Threads _ -> "threads of one operation (default: all cores)."

/// What to do with a store of results.
type StoreArgument =
    | [<MainCommand; ExactlyOnce>] Action of string list
    | [<Unique>] Store of folder: string
    | [<Unique>] Json
    | [<Unique; AltCommandLine("-o")>] Output of file: string

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Action _ -> "list, verify, gc, or export KEY."
            | Store _ -> "the store's folder (default: results/store)."
            | Json -> "print JSON."
            | Output _ -> "the file to write."
