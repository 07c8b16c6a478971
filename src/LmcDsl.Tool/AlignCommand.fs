namespace LmcDsl.Tool

open Argu
open LmcDsl
open LmcDsl.Core.Architectures
open LmcDsl.Core.Checkpoints
open LmcDsl.Core.Matching
open LmcDsl.Core.Measures
open LmcDsl.Core.Runtime

/// `lmc align A B`: permutes the units of B so that it comes into A's basin.
[<RequireQualifiedAccess>]
module AlignCommand =

    /// Searches for the permutations of `other` by the search that the arguments name.
    let search (arguments: ParseResults<ModelArgument>) (reference: ParameterSet) (other: ParameterSet) : SearchResult =
        let seed = arguments.GetResult(ModelArgument.Seed, defaultValue = 0L)
        let starts = Models.starts arguments

        let onTraining why run =
            use data = Models.requiredData why arguments
            run data.Train

        let name = arguments.GetResult(ModelArgument.Search, defaultValue = "wm")

        Stage.during $"aligning by {name}" (fun () ->
            match name with
            | "wm" -> WeightMatching.Match(reference, other, WeightMatchingOptions(Seed = seed, Starts = starts))
            | "sinkhorn" ->
                let options = SinkhornMatchingOptions(Seed = seed, Starts = starts, Polish = true)
                SinkhornMatching.Match(reference, other, options)
            | "am" -> onTraining "activation matching" (fun data -> ActivationMatching.Match(reference, other, data))
            | "ste" ->
                onTraining "the straight-through search" (fun data ->
                    StraightThrough.Match(
                        reference,
                        other,
                        data,
                        StraightThroughOptions(Seed = seed, Starts = starts)
                    ))
            | "sinkhorn-ste" ->
                onTraining "the straight-through search" (fun data ->
                    let options = SinkhornStraightThroughOptions(Seed = seed, Starts = starts)
                    SinkhornStraightThrough.Match(reference, other, data, options))
            | name -> raise (LmcException $"--search: expected wm, sinkhorn, am, ste or sinkhorn-ste, found '{name}'"))

    /// Runs the command. Returns what it did.
    let run (arguments: ParseResults<ModelArgument>) : Json =
        let target = Models.output arguments
        use models = Models.load 2 arguments

        match models.Parameters, models.Placements with
        | [ a; b ], [ _; placement ] ->
            let found = search arguments a b
            use aligned = found.Permutations.Apply b
            Models.save target (fun stream -> Checkpoint.SavePermuted(stream, found.Permutations, placement))
            let before, after = Distance.L2(a, b), Distance.L2(a, aligned)

            Json.Object [
                "written", Json.Text target
                yield! Models.said models
                "l2 before", Json.float before
                "l2 after", Json.float after
                "reduction", Json.float (if before > 0.0 then 1.0 - after / before else 0.0)
                "passes", Json.int (int64 found.Sweeps)
                "stopped", Json.Text(string found.Stopped)
                "seconds", Json.float (System.Math.Round(found.Seconds, 3))
            ]
        | all, _ -> raise (LmcException $"align: expected 2 checkpoints, found {all.Length}")
