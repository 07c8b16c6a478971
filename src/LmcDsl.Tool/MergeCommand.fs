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

/// `lmc merge A B C ...`: the mean of the models, each aligned to the first.
[<RequireQualifiedAccess>]
module MergeCommand =

    // What is asked of a search is nothing without one.
    let private none (arguments: ParseResults<ModelArgument>) : bool =
        let isNone = arguments.TryGetResult ModelArgument.Search = Some "none"

        if
            isNone
            && (arguments.Contains ModelArgument.Seed
                || arguments.Contains ModelArgument.Starts
                || arguments.Contains ModelArgument.Starting_From)
        then
            raise (Usage("lmc merge: --seed, --starts and --starting-from are of a search, found --search none", 2))

        isNone

    /// Runs the command. Returns what it did.
    let run (arguments: ParseResults<ModelArgument>) (cancel: CancellationToken) : Json =
        let target = Models.output List.head arguments
        let search = if none arguments then None else Some(AlignCommand.search arguments)
        use models = Models.load 2 arguments
        let data = Models.givenData arguments models.Network
        search |> Option.iter (fun search -> AlignCommand.requireData search data)

        let resetOn =
            arguments.TryGetResult ModelArgument.Reset_Stats
            |> Option.map (fun name -> Models.dataSet "--reset-stats" name arguments models.Network)

        let identity = PermutationSet.Identity models.Network
        let others = [ 1 .. models.Parameters.Length - 1 ]

        // What is applied to each model: none where they are rotated, and so no longer the stored numbers.
        let permutations, aligned =
            match search with
            | None -> Some(models.Parameters |> List.map (fun _ -> identity)), [] // the models as they are
            | Some search ->
                Models.inMemory cancel (fun memory ->
                    let aligned = Models.population memory arguments models data |> align search

                    if search.Turns then
                        let turned = [ for index in others -> (AlignCommand.model memory aligned index).Clone() ]
                        None, models.Parameters.Head.Clone() :: turned
                    else
                        let found =
                            [ for index in others -> fst (AlignCommand.permutations memory models aligned index) ]

                        Some(identity :: found), [])

        let aligned =
            match permutations with
            | Some permutations -> [ for found, model in List.zip permutations models.Parameters -> found.Apply model ]
            | None -> aligned

        try
            use merged = Average.Of(List.toArray aligned, null)

            match resetOn with
            | Some data ->
                Stage.during $"recomputing statistics on {data.Name}" (fun () ->
                    use onCpu = DataSet.load data
                    use examples = onCpu.Train.To(Models.device arguments)
                    StatisticsReset.Apply(merged, examples))
            | None -> ()

            let statistics: ParameterSet | null = if resetOn.IsSome then merged else null

            Models.save target (fun stream ->
                match permutations with
                | None -> Checkpoint.Save(stream, merged, models.Placements.Head)
                | Some permutations ->
                    let members =
                        [|
                            for placement, found in List.zip models.Placements permutations ->
                                struct (placement, found)
                        |]

                    Checkpoint.SaveMean(stream, members, statistics))

            Json.Object [
                "written", Json.Text target
                yield! Models.said models
                "search", Json.Text(search |> Option.map Search.title |> Option.defaultValue "none")
                yield! Models.saidOfData (Option.orElse resetOn data)
                "models", Json.int (int64 models.Parameters.Length)
                "L2 to the first", Json.floats [ for model in aligned.Tail -> Distance.L2(aligned.Head, model) ]
                "statistics reset", Json.Bool resetOn.IsSome
                if StatisticsReset.Concerns models.Network && resetOn.IsNone then
                    "note",
                    Json.Text
                        "the network has batch-norm statistics, which were averaged: --reset-stats DATA recomputes them"
            ]
        finally
            for model in aligned do
                model.Dispose()
