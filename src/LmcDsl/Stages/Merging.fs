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

        { Population.stage "keepStatistics" [ "repairOn" ] population with
            ResetOn = None
        }

    /// Recomputes batch-norm statistics of merged models on so many training images.
    let repairOn (examples: int) (population: Population) : Population =
        if examples < 1 then
            raise (LmcException $"repairOn: expected 1 or more examples, found {examples}")

        beforeMerging "repairOn" population

        { Population.stage $"repairOn {examples}" [ "keepStatistics" ] population with
            ResetOn = population.ResetOn |> Option.map (fun _ -> examples)
        }

    /// Gives the units of merged models back the mean and deviation that their parents' have on average, on 10,000 training
    /// images (REPAIR, 2211.08403), before statistics are reset. For layers with a bias; batch norms are reset anyway.
    let renormalise (population: Population) : Population =
        beforeMerging "renormalise" population
        { population with RenormaliseOn = Some defaultResetOn }

    let private repaired (population: Population) title merged (models: Plan<Model> list) : Plan<Model> =
        let parents = models |> List.map Plan.node
        let averaged: Plan<Model> = merged parents
        let on examples = Population.onData "train" [ "examples", Json.int (int64 examples) ] population

        let renormalised: Plan<Model> =
            match population.RenormaliseOn with
            | None -> averaged
            | Some examples ->
                Plan.make renormaliseOp $"{title}, renormalised" (on examples) (Plan.node averaged :: parents)

        match population.ResetOn with
        | None -> renormalised
        | Some examples -> Plan.make resetOp $"{title}, statistics reset" (on examples) [ Plan.node renormalised ]

    // Members 0 .. n-1 as one model, by what makes it of a title and their steps. A second merge would take the place of the first.
    let private merging (written: string) n title merged (population: Population) : Population =
        if n < 1 then
            raise (LmcException $"{written.Split(' ').[0]}: expected 1 or more models, found {n}")

        let noted = Population.stage written [ "mergeN"; "mergeBy"; "mergeAs"; "mergeWith" ] population
        let taken = [ 0 .. n - 1 ]
        let made title members = Some(repaired population title (merged title) (taken |> List.map members))

        { noted with
            Taken = taken
            Merged = made title population.Member
            MergedNaive = made $"{title}, naive" population.Trained
        }

    /// The mean of members 0 .. n-1. This is what decides how many models are trained.
    /// Raises `LmcException` for n below 1, and after another merge.
    let mergeN (n: int) (population: Population) : Population =
        population |> merging $"mergeN {n}" n $"mean of {n}" (fun title -> Plan.make mergeOp title Args.none)

    let private mergingBy written name (merge: Merge) n (population: Population) : Population =
        let title = $"{merge.Title} of {n}"

        merging written n title (Merge.step merge) population |> withLabel Report.mergeLabel name

    /// Members 0 .. n-1 merged by another method than the mean: `mergeBy TIES 3`. Rows of the merged model say by which.
    /// Raises `LmcException` for n below 1, and after another merge.
    let mergeBy (merge: Merge) (n: int) (population: Population) : Population =
        mergingBy $"mergeBy {merge.Name} {n}" merge.Name merge n population

    /// The same; tables call the method by this name, which tells apart one method with several options.
    let mergeAs (name: string) (merge: Merge) (n: int) (population: Population) : Population =
        mergingBy $"mergeAs \"{name}\" {merge.Name} {n}" name merge n population

    /// The weighted mean of as many members as there are weights: `mergeWith [ 0.7; 0.3 ]`.
    let mergeWith (weights: float list) (population: Population) : Population =
        let shown = weights |> List.map Number.shortest |> String.concat "; "
        let merge = weighted (LmcDsl.Core.Merging.WeightedMerge(List.toArray weights))

        if weights.IsEmpty || abs (List.sum weights - 1.0) > 1e-9 || List.exists (fun w -> not (w >= 0.0)) weights then
            raise (LmcException $"mergeWith: expected weights of 0 or more that sum to 1, found [ {shown} ]")

        mergingBy $"mergeWith [ {shown} ]" $"weights {shown}" merge weights.Length population
