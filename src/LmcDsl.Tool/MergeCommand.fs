namespace LmcDsl.Tool

open Argu
open LmcDsl
open LmcDsl.Core.Checkpoints
open LmcDsl.Core.Merging
open LmcDsl.Core.Measures
open LmcDsl.Core.Permutations

/// `lmc merge A B C ...`: the mean of the models, each aligned to the first.
[<RequireQualifiedAccess>]
module MergeCommand =

    /// Runs the command. Returns what it did.
    let run (arguments: ParseResults<ModelArgument>) : Json =
        let target = Models.output arguments
        use models = Models.load 2 arguments
        let reference = models.Parameters.Head

        let permutations =
            [
                for other in models.Parameters.Tail ->
                    // `--search none` merges the models as they are.
                    if arguments.GetResult(ModelArgument.Search, defaultValue = "wm") = "none" then
                        PermutationSet.Identity models.Network
                    else
                        (AlignCommand.search arguments reference other).Permutations
            ]

        let aligned = [ for found, other in List.zip permutations models.Parameters.Tail -> found.Apply other ]

        try
            use merged = Average.Of(List.toArray (reference :: aligned), null)

            let reset =
                match arguments.TryGetResult ModelArgument.Reset_Stats with
                | Some name ->
                    use data = Models.data "--reset-stats" name arguments

                    Stage.during $"recomputing statistics on {name}" (fun () ->
                        StatisticsReset.Apply(merged, data.Train))

                    true
                | None -> false

            let members =
                [|
                    for placement, found in
                        List.zip models.Placements (PermutationSet.Identity models.Network :: permutations) ->
                        struct (placement, found)
                |]

            let statistics: LmcDsl.Core.Architectures.ParameterSet | null = if reset then merged else null

            Models.save target (fun stream -> Checkpoint.SaveMean(stream, members, statistics))

            Json.Object [
                "written", Json.Text target
                yield! Models.said models
                "models", Json.int (int64 models.Parameters.Length)
                "l2 to the first", Json.floats [ for model in aligned -> Distance.L2(reference, model) ]
                "statistics reset", Json.Bool reset
                if StatisticsReset.Concerns models.Network && not reset then
                    "note",
                    Json.Text
                        "the network has batch-norm statistics, which were averaged: --reset-stats DATA recomputes them"
            ]
        finally
            for model in aligned do
                model.Dispose()
