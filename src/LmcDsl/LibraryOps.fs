namespace LmcDsl

open System
open System.IO
open LmcDsl.Core.Architectures
open LmcDsl.Core.Checkpoints
open LmcDsl.Core.Matching
open LmcDsl.Core.Measures
open LmcDsl.Core.Merging
open LmcDsl.Core.Permutations
open LmcDsl.Core.Runtime
open LmcDsl.Core.Spectra
open LmcDsl.Core.Training

/// What the library's steps do: each reads its arguments and inputs, calls the core, and gives a value.
[<RequireQualifiedAccess>]
module LibraryOps =

    let private dataOf context = context.Data context.Args["data"].["name"].String context.Args["device"].String

    let private onDevice context (model: ParameterSet) = model.To(TorchRuntime.Device context.Args["device"].String)

    let private train context =
        let args = context.Args
        let seed = args["seed"].Int64
        let options = Json.toValue<TrainingOptions> args["training"]
        let device = TorchRuntime.Device args["device"].String
        TorchRuntime.UseThreads args["threads"].Int
        let data = dataOf context

        let start =
            match context.LoadPartial() with
            | Some kept -> ModelFile.ReadState(ReadOnlySpan kept, "unfinished training", device)
            | None -> TrainingState.Start(Network(Architecture.FromJson(Json.text args["architecture"])), seed, device)

        let save (state: TrainingState) =
            if state.Epoch < options.Epochs then
                use stream = new MemoryStream()
                ModelFile.Write(stream, state)
                context.SavePartial(stream.ToArray())

        let tell (p: TrainingProgress) =
            let share = (float p.Epoch + float p.Step / float p.Steps) / float options.Epochs

            context.Progress
                {
                    Share = share
                    Text = $"epoch {p.Epoch + 1}/{options.Epochs}, loss {p.Loss:F4}"
                }

        use state = Trainer.Run(start, data.Train, options, seed, save, tell, context.Cancel)
        Parameters(state.Parameters.To TorchSharp.torch.CPU)

    let private pair context =
        match context.Inputs with
        | Parameters a :: Parameters b :: _ -> a, b
        | _ -> raise (LmcException "expected 2 models first")

    let private groups (permutations: PermutationSet) =
        Json.Object [
            for group, permutation in Seq.zip permutations.Network.Groups permutations.Permutations do
                group.Name, Json.ints permutation.Sources
        ]

    let private permutations (model: ParameterSet) (groups: Json) =
        PermutationSet(
            model.Network,
            model.Network.Groups |> Seq.map (fun group -> Permutation(groups[group.Name].Items |> Seq.map _.Int))
        )

    // What the search begins at, where the plan says so.
    let private start context (model: ParameterSet) =
        Value.documents context
        |> List.tryHead
        |> Option.map (fun document -> permutations model document["groups"])
        |> Option.toObj

    let private alignment context (found: SearchResult) =
        context.Note("seconds of the search", Json.float found.Seconds)

        Document(
            Json.Object [
                "groups", groups found.Permutations
                "sweeps", Json.int (int64 found.Sweeps)
                "objective", Json.floats found.Objective
                "stopped", Json.Text(string found.Stopped)
            ]
        )

    let private weightMatching context =
        let a, b = pair context
        let options = Json.toValue<WeightMatchingOptions> context.Args["options"]

        let tell sweeps (objective: float) =
            context.Progress { Share = 0.0; Text = $"pass {sweeps}, objective {objective:F2}" }

        alignment context (WeightMatching.Match(a, b, options, start context b, tell))

    let private sinkhornMatching context =
        let a, b = pair context
        let options = Json.toValue<SinkhornMatchingOptions> context.Args["options"]

        let tell share (objective: float) =
            context.Progress { Share = share; Text = $"relaxed objective {objective:F2}" }

        alignment context (SinkhornMatching.Match(a, b, options, start context b, tell))

    let private joint context (search: ParameterSet[] -> Action<int, float> -> JointResult) =
        let tell sweeps (objective: float) =
            context.Progress { Share = 0.0; Text = $"pass {sweeps}, objective {objective:F2}" }

        let found = search (List.toArray (Value.models context)) (Action<_, _> tell)
        context.Note("seconds of the search", Json.float found.Seconds)

        Document(
            Json.Object [
                "models", Json.Array [ for p in found.Permutations -> groups p ]
                "sweeps", Json.int (int64 found.Sweeps)
                "objective", Json.floats found.Objective
                "stopped", Json.Text(string found.Stopped)
            ]
        )

    let private mergeMany context =
        let options = Json.toValue<MergeManyOptions> context.Args["options"]
        joint context (fun models tell -> MergeManyMatching.Match(models, options, null, tell))

    let private universeMatching context =
        let options = Json.toValue<UniverseMatchingOptions> context.Args["options"]
        joint context (fun models tell -> UniverseMatching.Match(models, options, tell))

    let private activationMatching context =
        let a, b = pair context
        use a = onDevice context a
        use b = onDevice context b
        let options = Json.toValue<ActivationMatchingOptions> context.Args["options"]
        let tell share = context.Progress { Share = share; Text = "reading activations" }
        alignment context (ActivationMatching.Match(a, b, (dataOf context).Train, options, tell))

    let private straightThrough context =
        let a, b = pair context
        use a = onDevice context a
        use b = onDevice context b
        let options = Json.toValue<StraightThroughOptions> context.Args["options"]

        let tell share (least: float) = context.Progress { Share = share; Text = $"least training loss {least:F4}" }

        alignment context (StraightThrough.Match(a, b, (dataOf context).Train, options, start context b, tell))

    let private resetStatistics context =
        use model = Value.models context |> List.exactlyOne |> onDevice context
        StatisticsReset.Apply(model, (dataOf context).Train, context.Args["examples"].Int)
        Parameters(model.To TorchSharp.torch.CPU)

    let private renormalise context =
        match Value.models context with
        | merged :: parents ->
            use merged = onDevice context merged
            let parents = parents |> List.map (onDevice context)

            try
                Renormalisation.Apply(merged, parents, (dataOf context).Train, context.Args["examples"].Int)
                Parameters(merged.To TorchSharp.torch.CPU)
            finally
                for parent in parents do
                    parent.Dispose()
        | [] -> raise (LmcException "renormalise: expected a merged model and its parents")

    let private permute context =
        match context.Inputs with
        | [ Parameters model; Document alignment ] ->
            let own =
                match context.Args.TryItem "model" with
                | Some index -> alignment["models"].Items[index.Int]
                | None -> alignment["groups"]

            Parameters((permutations model own).Apply model)
        | _ -> raise (LmcException "permute: expected a model and an alignment")

    let private merge context = Parameters(Average.Of(List.toArray (Value.models context), null))

    let private score (s: Score) = [ "loss", Json.float s.Loss; "accuracy", Json.float s.Accuracy ]

    let private scoreOf context =
        use model = Value.models context |> List.exactlyOne |> onDevice context
        Document(Json.Object(score (Evaluator.Evaluate(model, (dataOf context).Test))))

    let private barrier context =
        let a, b = pair context
        use a = onDevice context a
        use b = onDevice context b
        let points = context.Args["points"].Int

        let tell k = context.Progress { Share = float k / float points; Text = $"point {k}/{points}" }

        let data = dataOf context

        let curve =
            match context.Args.TryItem "resetOn" with
            | Some examples -> Barrier.Along(a, b, data.Test, points, tell, data.Train, examples.Int)
            | None -> Barrier.Along(a, b, data.Test, points, tell)

        let point (p: CurvePoint) = Json.Object([ "lambda", Json.float p.Lambda ] @ score p.Score)

        Document(
            Json.Object [
                "loss", Json.float curve.Loss
                "accuracy", Json.float curve.Accuracy
                "midpointLoss", Json.float curve.MidpointLoss
                "midpointAccuracy", Json.float curve.MidpointAccuracy
                "curve", Json.Array [ for p in curve.Points -> point p ]
            ]
        )

    let private taylor context =
        let a, b = pair context
        use a = onDevice context a
        use b = onDevice context b
        let tell share = context.Progress { Share = share; Text = "second derivatives" }
        let found = TaylorEstimate.AtMidpoint(a, b, (dataOf context).Test, progress = tell)

        Document(
            Json.Object [
                "estimate", Json.float found.Estimate
                "firstOrder", Json.float found.FirstOrder
                "secondOrder", Json.float found.SecondOrder
            ]
        )

    let private distance context = Document(Json.Object [ "l2", Json.float (pair context |> Distance.L2) ])

    let private singularVectors context =
        let a, b = pair context
        let gammas = [| for gamma in context.Args["gammas"].Items -> gamma.Float |]

        let layer (l: LayerAlignment) =
            Json.Object [ "name", Json.Text l.Name; "r", Json.float l.R; "kept", Json.int (int64 l.Kept) ]


        let threshold (t: AlignmentAtThreshold) =
            Json.Object [
                "gamma", Json.float t.Gamma
                "r", Json.float t.R
                "layers", Json.Array [ for l in t.Layers -> layer l ]
            ]


        Document(
            Json.Object [ "thresholds", Json.Array [ for t in SingularAlignment.Between(a, b, gammas) -> threshold t ] ]
        )

    let private report context =
        let row (label: Json) (value: Json) =
            {
                Measure = label["measure"].String
                Models = [ for model in label["models"].Items -> model.String ]
                Aligned = label["aligned"].Boolean
                Labels = Report.labelsOfJson label["labels"]
                Value = value
            }

        Document(Report.toJson { Rows = List.map2 row context.Args["rows"].Items (Value.documents context) })

    /// The library's operations. A script's own are added to this list.
    let all: Op list =
        [
            { Name = "train"; Version = 2; Run = train }
            { Name = "weightMatching"; Version = 1; Run = weightMatching }
            { Name = "sinkhornMatching"; Version = 1; Run = sinkhornMatching }
            { Name = "mergeMany"; Version = 1; Run = mergeMany }
            { Name = "universeMatching"; Version = 1; Run = universeMatching }
            { Name = "activationMatching"; Version = 1; Run = activationMatching }
            { Name = "straightThrough"; Version = 2; Run = straightThrough }
            { Name = "resetStatistics"; Version = 1; Run = resetStatistics }
            { Name = "renormalise"; Version = 1; Run = renormalise }
            { Name = "permute"; Version = 1; Run = permute }
            { Name = "merge"; Version = 1; Run = merge }
            { Name = "score"; Version = 1; Run = scoreOf }
            { Name = "barrier"; Version = 1; Run = barrier }
            { Name = "taylor"; Version = 1; Run = taylor }
            { Name = "distance"; Version = 1; Run = distance }
            { Name = "singularVectors"; Version = 1; Run = singularVectors }
            { Name = "report"; Version = 2; Run = report }
        ]
