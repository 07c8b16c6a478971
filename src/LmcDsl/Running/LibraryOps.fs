namespace LmcDsl

open System
open System.IO
open LmcDsl.Core.Architectures
open LmcDsl.Core.Checkpoints
open LmcDsl.Core.Matching
open LmcDsl.Core.Merging
open LmcDsl.Core.Permutations
open LmcDsl.Core.Runtime
open LmcDsl.Core.Training

/// What the library's steps do: each reads its arguments and inputs, calls the core, and gives a value.
[<RequireQualifiedAccess>]
module LibraryOps =

    let private train context =
        let args = context.Args
        let seed = args["seed"].Int64
        let options = Json.toValue<TrainingOptions> args["training"]
        let device = TorchRuntime.Device args["device"].String
        let data = Take.data context

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
        let a, b = Take.pair context
        let options = Json.toValue<WeightMatchingOptions> context.Args["options"]

        let tell sweeps (objective: float) =
            context.Progress { Share = 0.0; Text = $"pass {sweeps}, objective {objective:F2}" }

        // The models are read for this step alone.
        if options.Starts = 1 then
            WeightMatching.MatchInPlace(a, b, options, start context b, tell)
        else
            WeightMatching.Match(a, b, options, start context b, tell)
        |> alignment context

    let private sinkhornMatching context =
        let a, b = Take.pair context
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
        let options = Json.toValue<ActivationMatchingOptions> context.Args["options"]
        let tell share = context.Progress { Share = share; Text = "reading activations" }

        Take.pairOnDevice context (fun a b ->
            alignment context (ActivationMatching.Match(a, b, Take.split context, options, tell)))

    let private leastLoss context =
        fun share (least: float) -> context.Progress { Share = share; Text = $"least training loss {least:F4}" }

    let private straightThrough context =
        let options = Json.toValue<StraightThroughOptions> context.Args["options"]

        Take.pairOnDevice context (fun a b ->
            StraightThrough.Match(a, b, Take.split context, options, start context b, leastLoss context)
            |> alignment context)

    let private sinkhornStraightThrough context =
        let options = Json.toValue<SinkhornStraightThroughOptions> context.Args["options"]

        Take.pairOnDevice context (fun a b ->
            SinkhornStraightThrough.Match(a, b, Take.split context, options, start context b, leastLoss context)
            |> alignment context)

    let private resetStatistics context =
        use model = Value.models context |> List.exactlyOne |> Take.onDevice context
        StatisticsReset.Apply(model, (Take.data context).Train, context.Args["examples"].Int)
        Parameters(model.To TorchSharp.torch.CPU)

    let private renormalise context =
        match Value.models context with
        | merged :: parents ->
            use merged = Take.onDevice context merged
            let parents = parents |> List.map (Take.onDevice context)

            try
                Renormalisation.Apply(merged, parents, (Take.data context).Train, context.Args["examples"].Int)
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

    let private report context =
        Document(
            Report.toJson
                {
                    Rows = List.map2 Report.row context.Args["rows"].Items (Value.documents context)
                }
        )

    /// The library's operations. A script's own are added to this list.
    let all: Op list =
        [
            { Name = "train"; Version = 2; Run = train }
            { Name = "weightMatching"; Version = 2; Run = weightMatching }
            { Name = "sinkhornMatching"; Version = 2; Run = sinkhornMatching }
            { Name = "mergeMany"; Version = 2; Run = mergeMany }
            { Name = "universeMatching"; Version = 2; Run = universeMatching }
            { Name = "activationMatching"; Version = 2; Run = activationMatching }
            { Name = "straightThrough"; Version = 3; Run = straightThrough }
            { Name = "sinkhornStraightThrough"; Version = 2; Run = sinkhornStraightThrough }
            { Name = "resetStatistics"; Version = 1; Run = resetStatistics }
            { Name = "renormalise"; Version = 1; Run = renormalise }
            { Name = "permute"; Version = 1; Run = permute }
            { Name = "merge"; Version = 1; Run = merge }
            { Name = "report"; Version = 2; Run = report }
        ]
        @ MeasureOps.all
