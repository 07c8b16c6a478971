namespace LmcDsl

open LmcDsl.Core.Runtime

/// Stages that average members, and repair what averaging does to their statistics.
[<AutoOpen>]
module Merging =

    /// Averages batch-norm statistics like parameters when merging, in place of recomputing them on training data. Without
    /// this stage they are recomputed wherever the network has them, on 10,000 training images (REPAIR, 2211.08403).
    let keepStatistics (population: Population) : Population = { population with ResetOn = None }

    /// Recomputes batch-norm statistics of merged models on so many training images.
    let repairOn (examples: int) (population: Population) : Population =
        if examples < 1 then
            raise (LmcException $"repairOn: expected 1 or more examples, found {examples}")

        { population with
            ResetOn = population.ResetOn |> Option.map (fun _ -> examples)
        }

    /// Gives the units of merged models back the mean and deviation that their parents' have on average, on 10,000 training
    /// images (REPAIR, 2211.08403), before statistics are reset. For layers with a bias; batch norms are reset anyway.
    let renormalise (population: Population) : Population = { population with RenormaliseOn = Some defaultResetOn }

    let private mean (population: Population) title (models: Plan<Model> list) : Plan<Model> =
        let parents = models |> List.map Plan.node
        let averaged: Plan<Model> = Plan.make ("merge", 1) title (Json.Object []) parents
        let on examples = onData population "train" [ "examples", Json.int (int64 examples) ]

        let renormalised: Plan<Model> =
            match population.RenormaliseOn with
            | None -> averaged
            | Some examples ->
                Plan.make ("renormalise", 1) $"{title}, renormalised" (on examples) (Plan.node averaged :: parents)

        match population.ResetOn with
        | None -> renormalised
        | Some examples ->
            Plan.make ("resetStatistics", 1) $"{title}, statistics reset" (on examples) [ Plan.node renormalised ]

    /// The mean of members 0 .. n-1. This is what decides how many models are trained.
    /// Raises `LmcException` for n below 1.
    let mergeN (n: int) (population: Population) : Population =
        if n < 1 then
            raise (LmcException $"mergeN: expected 1 or more models, found {n}")

        let taken = [ 0 .. n - 1 ]

        { population with
            Taken = taken
            Merged = Some(mean population $"mean of {n}" (taken |> List.map population.Member))
            MergedAsTrained = Some(mean population $"mean of {n} as trained" (taken |> List.map population.Trained))
        }
