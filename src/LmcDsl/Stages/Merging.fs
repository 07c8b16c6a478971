namespace LmcDsl

open LmcDsl.Core.Merging
open LmcDsl.Core.Runtime

/// Stages that average members, and repair what averaging does to their statistics.
[<AutoOpen>]
module Merging =

    let private examples (context: OpContext) = context.Args["examples"].Int

    let private mergeOp =
        Op.make "merge" 1 0.5 (fun context -> Parameters(Average.Of(List.toArray (Value.models context), null)))

    let private resetOp =
        Op.make "resetStatistics" 1 0.5 (fun context ->
            Take.modelOnDevice context (fun model ->
                StatisticsReset.Apply(model, Take.train context, examples context)
                Parameters(model.To TorchSharp.torch.CPU)))

    let private renormaliseOp =
        Op.make "renormalise" 1 0.5 (fun context ->
            match Value.models context |> List.map (Take.onDevice context) with
            | merged :: parents as all ->
                try
                    Renormalisation.Apply(merged, parents, Take.train context, examples context)
                    Parameters(merged.To TorchSharp.torch.CPU)
                finally
                    for model in all do
                        model.Dispose()
            | [] -> raise (LmcException "renormalise: expected a merged model and its parents"))

    /// Averages batch-norm statistics like parameters when merging, in place of recomputing them on training data. Without
    /// this stage they are recomputed wherever the network has them, on 10,000 training images (REPAIR, 2211.08403).
    let keepStatistics (population: Population) : Population =
        beforeMerging "keepStatistics" population
        { population with ResetOn = None }

    /// Recomputes batch-norm statistics of merged models on so many training images.
    let repairOn (examples: int) (population: Population) : Population =
        if examples < 1 then
            raise (LmcException $"repairOn: expected 1 or more examples, found {examples}")

        beforeMerging "repairOn" population

        { population with
            ResetOn = population.ResetOn |> Option.map (fun _ -> examples)
        }

    /// Gives the units of merged models back the mean and deviation that their parents' have on average, on 10,000 training
    /// images (REPAIR, 2211.08403), before statistics are reset. For layers with a bias; batch norms are reset anyway.
    let renormalise (population: Population) : Population =
        beforeMerging "renormalise" population
        { population with RenormaliseOn = Some defaultResetOn }

    let private mean (population: Population) title (models: Plan<Model> list) : Plan<Model> =
        let parents = models |> List.map Plan.node
        let averaged: Plan<Model> = Plan.make mergeOp title Args.none parents
        let on examples = Population.onData "train" [ "examples", Json.int (int64 examples) ] population

        let renormalised: Plan<Model> =
            match population.RenormaliseOn with
            | None -> averaged
            | Some examples ->
                Plan.make renormaliseOp $"{title}, renormalised" (on examples) (Plan.node averaged :: parents)

        match population.ResetOn with
        | None -> renormalised
        | Some examples -> Plan.make resetOp $"{title}, statistics reset" (on examples) [ Plan.node renormalised ]

    /// The mean of members 0 .. n-1. This is what decides how many models are trained.
    /// Raises `LmcException` for n below 1.
    let mergeN (n: int) (population: Population) : Population =
        if n < 1 then
            raise (LmcException $"mergeN: expected 1 or more models, found {n}")

        let taken = [ 0 .. n - 1 ]

        { population with
            Taken = taken
            Merged = Some(mean population $"mean of {n}" (taken |> List.map population.Member))
            MergedNaive = Some(mean population $"mean of {n}, naive" (taken |> List.map population.Trained))
        }
