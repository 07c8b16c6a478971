namespace LmcDsl.Tool

open System.Threading
open Argu
open LmcDsl
open LmcDsl.Core.Architectures
open LmcDsl.Core.Checkpoints
open LmcDsl.Core.Merging
open LmcDsl.Core.Measures
open LmcDsl.Core.Permutations
open LmcDsl.Core.Runtime

/// Which merge the arguments ask for.
[<RequireQualifiedAccess>]
module MergeMethods =

    // The options of methods that arguments set, by the argument.
    let private options (arguments: ParseResults<ModelArgument>) : (string * string * Json) list =
        let number (name: string) (text: string) =
            match Number.tryParse text with
            | Some value -> Json.float value
            | None -> raise (LmcException $"{name}: expected a number, found '{text}'")

        let layer (assignment: string) =
            match assignment.Split('=', 2) with
            | [| name; weights |] ->
                Json.Object [
                    "layer", Json.Text name
                    "weights", Json.Array [ for weight in weights.Split ',' -> number "--layer-weights" weight ]
                ]
            | _ -> raise (LmcException $"--layer-weights: expected LAYER=WEIGHT,WEIGHT, found '{assignment}'")

        [
            for argument in arguments.GetAllResults() do
                match argument with
                | ModelArgument.Weights weights ->
                    "--weights", "weights", Json.Array [ for weight in weights -> number "--weights" weight ]
                | ModelArgument.Layer_Weights layers -> "--layer-weights", "layers", Json.Array(List.map layer layers)
                | ModelArgument.Share text -> "--share", "share", number "--share" text
                | ModelArgument.Scale text -> "--scale", "scale", number "--scale" text
                | ModelArgument.Density text -> "--density", "density", number "--density" text
                | _ -> ()
        ]

    let private named (arguments: ParseResults<ModelArgument>) =
        Library.merge "--method" (arguments.GetResult(ModelArgument.Method, defaultValue = "mean"))

    let private has (option: string) (merge: Merge) = (merge.Options.TryItem option).IsSome

    /// Whether the method draws at random.
    let takesSeed (arguments: ParseResults<ModelArgument>) : bool = has "seed" (named arguments)

    /// The merge that the arguments name, with its options. Raises `LmcException` where the method has no such option.
    let asked (arguments: ParseResults<ModelArgument>) : Merge =
        let merge = named arguments

        if arguments.Contains ModelArgument.Base && not (has "scale" merge) then
            raise (LmcException $"--base: expected a method that takes differences to a base, found {merge.Word}")

        let own =
            (merge, options arguments)
            ||> List.fold (fun merge (argument, option, value) ->
                if has option merge then
                    Merge.withOption option value merge
                else
                    let those = Library.merges |> List.filter (has option) |> List.map _.Word |> String.concat ", "
                    raise (LmcException $"{argument}: is of --method {those}, found {merge.Word}"))

        match arguments.TryGetResult ModelArgument.Seed with
        | Some seed when has "seed" own -> Merge.withOption "seed" (Json.int seed) own
        | _ -> own

    /// The core's method behind one of the library's merges.
    let ofCore (merge: Merge) : MergeMethod =
        match merge.Method with
        | Some method -> method merge.Options
        | None -> raise (LmcException $"--method: expected a method of the core, found {merge.Word}")

/// `lmc merge A B C ...`: the models, each aligned to the first, as one: their mean, or by another method.
[<RequireQualifiedAccess>]
module MergeCommand =

    // What is asked of a search is nothing without one.
    let private none (arguments: ParseResults<ModelArgument>) : bool =
        let isNone = arguments.TryGetResult ModelArgument.Search = Some "none"

        if
            isNone
            && (arguments.Contains ModelArgument.Starts
                || arguments.Contains ModelArgument.Starting_From
                || arguments.Contains ModelArgument.First_Groups
                || (arguments.Contains ModelArgument.Seed && not (MergeMethods.takesSeed arguments)))
        then
            raise (
                Usage(
                    "lmc merge: --seed, --starts, --starting-from and --first-groups are of a search, found --search none",
                    2
                )
            )

        isNone

    /// Runs the command. Returns what it did.
    let run (arguments: ParseResults<ModelArgument>) (cancel: CancellationToken) : Json =
        let target = Output.path List.head arguments
        let search = if none arguments then None else Some(AlignCommand.search arguments)
        let merge = MergeMethods.asked arguments
        use models = Models.load 2 arguments
        let method = MergeMethods.ofCore merge
        method.Require(models.Network, models.Parameters.Length) // told before the work
        let data = GivenData.ofArguments arguments models.Network
        search |> Option.iter (fun search -> AlignCommand.requireData search data)

        let resetOn =
            arguments.TryGetResult ModelArgument.Reset_Stats
            |> Option.map (fun name -> GivenData.named "--reset-stats" name arguments models.Network)

        let identity = PermutationSet.Identity models.Network
        let others = [ 1 .. models.Parameters.Length - 1 ]
        let distances (members: ParameterSet list) = [ for m in members.Tail -> Distance.L2(members.Head, m) ]
        let before = distances models.Parameters

        // What is applied to each model, itself changed: none where they are rotated, and so no longer the stored numbers.
        let permutations, aligned =
            match search with
            | None -> Some(models.Parameters |> List.map (fun _ -> identity)), models.Parameters
            | Some search ->
                Models.inMemory cancel (fun memory ->
                    let given = Models.population memory arguments models data
                    let aligned = given |> AlignCommand.aligned arguments search

                    if search.Turns then
                        let turned = [ for index in others -> (AlignCommand.model memory aligned index).Clone() ]
                        None, models.Parameters.Head :: turned
                    else
                        let found =
                            [
                                for index in others ->
                                    fst (AlignCommand.permutations memory arguments models given search index)
                            ]

                        Some(identity :: found), models.Parameters)

        permutations
        |> Option.iter (fun found -> List.iter2 (fun (one: PermutationSet) m -> one.ApplyInPlace m) found aligned)

        try
            // Only where the stored numbers do not say it themselves.
            use merged: ParameterSet | null =
                if permutations.IsNone || resetOn.IsSome then
                    method.Merge(List.toArray aligned)
                else
                    null

            match resetOn, merged with
            | Some data, NonNull merged ->
                Stage.during $"recomputing statistics on {data.Name}" (fun () ->
                    use onCpu = DataSet.load data
                    use examples = onCpu.Train.To(ArgumentValues.device arguments)
                    StatisticsReset.Apply(merged, examples))
            | _ -> ()

            let numbers (part: string | null) stream =
                match permutations, merged with
                | None, NonNull merged -> Checkpoint.Save(stream, merged, models.Placements.Head, part)
                | _ ->
                    let found = permutations |> Option.defaultValue []

                    let members =
                        [| for placement, found in List.zip models.Placements found -> struct (placement, found) |]

                    Checkpoint.SaveMerged(stream, members, method, merged, part)

            let after = distances aligned

            let made =
                [
                    "search", Json.Text(search |> Option.map Search.title |> Option.defaultValue "none")
                    yield! GivenData.said (Option.orElse resetOn data)
                    "method", Json.Text merge.Name
                    match merge.Options with
                    | Json.Object [] -> ()
                    | options -> "options", options
                    "models", Json.texts [ for placement in models.Placements -> placement.Source.Path ]
                    "L2 to the first", Json.floats after
                    "statistics reset", Json.Bool resetOn.IsSome
                ]

            let card () =
                FolderOutput.card
                    "Several models as one"
                    [ "lmc"; "merge" ]
                    models.Folders
                    (("L2 to the first, before", Json.floats before) :: made @ Models.said models)

            let saved = Output.save models 0 target card numbers

            Json.Object [
                "written", Json.Text target
                yield! saved
                yield! Models.said models
                yield! made
                if StatisticsReset.Concerns models.Network && resetOn.IsNone then
                    "note",
                    Json.Text
                        "the network has batch-norm statistics, which were averaged: --reset-stats DATA recomputes them"
            ]
        finally
            if permutations.IsNone then
                for model in aligned.Tail do
                    model.Dispose()
