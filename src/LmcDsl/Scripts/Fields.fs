namespace LmcDsl

open System
open System.IO
open LmcDsl.Core.Architectures
open LmcDsl.Core.Runtime
open LmcDsl.Core.Training

/// A field of a set-up that the command line may set, by `--set NAME=VALUE`.
type SetupField =
    {
        /// Its name, as scripts have it.
        Name: string
        /// What its values look like.
        Type: string
        /// The set-up with the value that a text says. Raises `LmcException` where it says none.
        Set: string -> Setup -> Setup
    }

/// Setting any field of a set-up from the command line.
[<RequireQualifiedAccess>]
module Fields =

    let private wrong name (kind: string) (text: string) : 'a =
        raise (LmcException $"--set {name}: expected {kind}, found '{text}'")

    let private wholeNumber = "a whole number"
    let private anyNumber = "a number"

    let private whole name (text: string) : int =
        match
            Int32.TryParse(
                text,
                Globalization.NumberStyles.AllowLeadingSign,
                Globalization.CultureInfo.InvariantCulture
            )
        with
        | true, value -> value
        | _ -> wrong name wholeNumber text

    let private number name (text: string) : float =
        match Number.tryParse text with
        | Some value -> value
        | None -> wrong name anyNumber text

    let private optimizers = "adam, adam:BETA1,BETA2, adamw, adamw:BETA1,BETA2, sgd or sgd:MOMENTUM"
    let private schedules = "constant, linear:RISE or cosine:WARM-UP (shares of the steps)"

    let private networks =
        "mlp:512,512, NAME of the catalogue, NAME:WIDTH, NAME:WIDTH:NORM (resnet20:0.5:layer), or FILE.json"

    let private numbers (text: string) = text.Split ',' |> List.ofArray |> List.map Number.tryParse

    let private optimizer (text: string) : Optimizer =
        match text.Split(':', 2) |> List.ofArray with
        | [ "adam" ] -> Adam()
        | [ "adamw" ] -> AdamW()
        | [ "sgd" ] -> Sgd()
        | [ "adamw"; betas ] ->
            match numbers betas with
            | [ Some one; Some two ] -> AdamW(one, two)
            | _ -> wrong "Optimizer" optimizers text
        | [ "adam"; betas ] ->
            match numbers betas with
            | [ Some one; Some two ] -> Adam(one, two)
            | _ -> wrong "Optimizer" optimizers text
        | [ "sgd"; momentum ] ->
            match numbers momentum with
            | [ Some momentum ] -> Sgd momentum
            | _ -> wrong "Optimizer" optimizers text
        | _ -> wrong "Optimizer" optimizers text

    let private schedule (text: string) : Schedule =
        match text.Split(':', 2) |> List.ofArray with
        | [ "constant" ] -> Constant()
        | [ kind; share ] ->
            match kind, numbers share with
            | "linear", [ Some rise ] -> LinearUpDown rise
            | "cosine", [ Some warmUp ] -> Cosine warmUp
            | _ -> wrong "Schedule" schedules text
        | _ -> wrong "Schedule" schedules text

    let private augmentation (text: string) : Augmentation =
        match Enum.TryParse<Augmentation>(text, true) with
        | true, value when Enum.IsDefined value && not (Char.IsDigit text[0]) -> value
        | _ ->
            let known = Enum.GetNames<Augmentation>() |> Array.map _.ToLowerInvariant() |> String.concat " or "
            wrong "Augmentation" known text

    let private precision (text: string) : Precision =
        match Enum.TryParse<Precision>(text, true) with
        | true, value when Enum.IsDefined value && not (Char.IsDigit text[0]) -> value
        | _ -> wrong "Precision" "float32 or mixed" text

    let private sharedStarts = "none, or SEED,EPOCHS: what all members have in common before they part"

    let private shared (text: string) : SharedStart option =
        match text.Split ',' |> List.ofArray with
        | [ "none" ] -> None
        | [ seed; epochs ] -> Some(SharedStart(int64 (whole "Shared" seed), whole "Shared" epochs))
        | _ -> wrong "Shared" sharedStarts text

    let private norm (text: string) =
        match text with
        | "batch" -> Norm.Batch
        | "layer" -> Norm.Layer
        | "none" -> Norm.None
        | _ -> wrong "Network" "a norm, batch, layer or none" text

    let private network (text: string) : DataSet -> Architecture =
        let known name =
            if Seq.contains name Catalogue.Names then
                name
            else
                raise (
                    LmcException
                        $"--set Network: expected {networks}, found '{text}'{Nearest.Hint(name, Catalogue.Names)}"
                )

        match text.Split ':' |> List.ofArray with
        | [ "mlp"; widths ] -> mlp [ for width in widths.Split ',' -> whole "Network" width ]
        | [ file ] when file.EndsWith ".json" ->
            let architecture = Architecture.FromJson(InputFile.ReadText(file, "a network's description"))
            fun _ -> architecture
        | [ name ] -> catalogue (known name) 1.0 Norm.Batch
        | [ name; width ] -> catalogue (known name) (number "Network" width) Norm.Batch
        | [ name; width; normName ] -> catalogue (known name) (number "Network" width) (norm normName)
        | _ -> wrong "Network" networks text

    let private field name kind set : SetupField = { Name = name; Type = kind; Set = set }

    /// Every field of a set-up, and `Width`, in the order in which they are set.
    let all: SetupField list =
        [
            field "Data" "a data set's name, a part as mnist:2000+500" (fun text setup ->
                { setup with Data = Library.dataSet "--set Data" text })
            field "Network" networks (fun text setup -> { setup with Network = network text })
            field "Width" "a whole number: units of the first hidden layer, the others in proportion" (fun text setup ->
                let units = whole "Width" text
                { setup with Network = fun data -> Widening.Of(setup.Network data, units) })
            field "Epochs" wholeNumber (fun text setup -> { setup with Epochs = whole "Epochs" text })
            field "BatchSize" wholeNumber (fun text setup -> { setup with BatchSize = whole "BatchSize" text })
            field "LearningRate" anyNumber (fun text setup -> { setup with LearningRate = number "LearningRate" text })
            field "WeightDecay" anyNumber (fun text setup -> { setup with WeightDecay = number "WeightDecay" text })
            field "Optimizer" optimizers (fun text setup -> { setup with Optimizer = optimizer text })
            field "Schedule" schedules (fun text setup -> { setup with Schedule = schedule text })
            field "Augmentation" "none or flipCrop" (fun text setup -> { setup with Augmentation = augmentation text })
            field "Precision" "float32 or mixed" (fun text setup -> { setup with Precision = precision text })
            field "Shared" sharedStarts (fun text setup -> { setup with Shared = shared text })
            field "Seeds" "whole numbers with commas between" (fun text setup ->
                { setup with
                    Seeds = Listed [ for seed in text.Split ',' -> int64 (whole "Seeds" seed) ]
                })
            field "Device" "cpu, cuda or cuda:N" (fun text setup ->
                TorchRuntime.Device text |> ignore
                { setup with Device = text })
            field "Threads" wholeNumber (fun text setup ->
                match whole "Threads" text with
                | threads when threads >= 1 -> { setup with Threads = threads }
                | _ -> wrong "Threads" "1 or more" text)
        ]

    /// Names and types, for help.
    let help: string = all |> List.map (fun f -> $"{f.Name} ({f.Type})") |> String.concat "; "

    /// A field and a value from `NAME=VALUE`. Raises `LmcException` where it is not of that form or there is no such field.
    let read (assignment: string) : SetupField * string =
        match assignment.Split('=', 2) with
        | [| name; value |] when value <> "" ->
            match all |> List.tryFind (fun f -> String.Equals(f.Name, name, StringComparison.OrdinalIgnoreCase)) with
            | Some found -> found, value
            | None ->
                let hint = Nearest.Hint(name, all |> List.map _.Name)
                raise (LmcException $"--set: expected a field of the set-up, {help}; found '{name}'{hint}")
        | _ -> raise (LmcException $"--set: expected FIELD=VALUE, found '{assignment}'; fields are {help}")

    /// The changes that assignments make to a set-up, each with its field's name, in the order in which they are applied.
    /// Raises `LmcException` where a field is named twice.
    let changes (assignments: string list) : (string * (Setup -> Setup)) list =
        let found = assignments |> List.map read

        match found |> List.countBy (fun (f, _) -> f.Name) |> List.tryFind (fun (_, count) -> count > 1) with
        | Some(name, _) -> raise (LmcException $"--set: expected {name} once, found it twice")
        | None -> ()

        for f, value in found do
            f.Set value Setup.standard |> ignore // what cannot be is told at once

        found
        |> List.sortBy (fun (f, _) -> all |> List.findIndex (fun other -> other.Name = f.Name))
        |> List.map (fun (f, value) -> $"{f.Name}={value}", f.Set value)
