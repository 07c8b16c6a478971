namespace LmcDsl

open LmcDsl.Core.Data
open LmcDsl.Core.Measures
open LmcDsl.Core.Runtime
open LmcDsl.Core.Spectra

/// What steps that measure do: each reads its arguments and inputs, calls the core, and gives numbers.
[<RequireQualifiedAccess>]
module MeasureOps =

    let private resetOn context : (DataSplit | null) * int =
        match context.Args.TryItem "resetOn" with
        | Some examples -> (Take.data context).Train, examples.Int
        | None -> null, 0

    let private score (s: Score) = [ "loss", Json.float s.Loss; "accuracy", Json.float s.Accuracy ]

    let private scoreOf context =
        use model = Value.models context |> List.exactlyOne |> Take.onDevice context
        Document(Json.Object(score (Evaluator.Evaluate(model, Take.split context))))

    let private barrier context =
        let points = context.Args["points"].Int
        let tell k = context.Progress { Share = float k / float points; Text = $"point {k}/{points}" }
        let data, examples = resetOn context

        let curve =
            Take.pairOnDevice context (fun a b -> Barrier.Along(a, b, Take.split context, points, tell, data, examples))

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
        let tell share = context.Progress { Share = share; Text = "second derivatives" }

        let found =
            Take.pairOnDevice context (fun a b -> TaylorEstimate.AtMidpoint(a, b, Take.split context, progress = tell))

        Document(
            Json.Object [
                "estimate", Json.float found.Estimate
                "firstOrder", Json.float found.FirstOrder
                "secondOrder", Json.float found.SecondOrder
            ]
        )

    let private landscape context =
        match Value.models context |> List.map (Take.onDevice context) with
        | [ a; b; c ] as models ->
            try
                let tell share = context.Progress { Share = share; Text = "points of the plane" }
                let data, examples = resetOn context
                let points = context.Args["points"].Int

                let found =
                    Landscape.Over(
                        a,
                        b,
                        c,
                        Take.split context,
                        points,
                        progress = tell,
                        resetOn = data,
                        resetExamples = examples
                    )

                let rows value =
                    found.Scores |> Seq.map value |> Seq.chunkBySize points |> Seq.map Json.floats |> List.ofSeq

                Document(
                    Json.Object [
                        "models",
                        Json.Array [ for p in found.Models -> Json.Object [ "x", Json.float p.X; "y", Json.float p.Y ] ]
                        "x", Json.floats found.X
                        "y", Json.floats found.Y
                        "loss", Json.Array(rows _.Loss)
                        "accuracy", Json.Array(rows _.Accuracy)
                    ]
                )
            finally
                for model in models do
                    model.Dispose()
        | others -> raise (LmcException $"landscape: expected 3 models, found {others.Length}")

    let private distance context = Document(Json.Object [ "l2", Json.float (Take.pair context |> Distance.L2) ])

    let private named (name: string) fields = Json.Object(("name", Json.Text name) :: fields)

    let private layers items = Document(Json.Object [ "layers", Json.Array items ])

    let private distanceForms context =
        layers [
            for l in Take.pair context |> SpectralForm.Between ->
                named l.Name [ "direct", Json.float l.Direct; "spectral", Json.float l.Spectral ]
        ]

    let private outputBound context =
        let gamma, examples = context.Args["gamma"].Float, context.Args["examples"].Int
        let tell share = context.Progress { Share = share; Text = "layer outputs" }

        layers [
            for l in
                Take.pairOnDevice context (fun a b ->
                    LayerBound.Between(a, b, Take.split context, gamma, examples, tell)) ->
                named l.Name [
                    "measured", Json.float l.Measured
                    "bound", Json.float l.Bound
                    "dominantPart", Json.float l.DominantPart
                    "largestRatio", Json.float l.LargestRatio
                ]
        ]

    let private singularValues context =
        layers [
            for l in Value.models context |> List.exactlyOne |> Spectrum.Of ->
                named l.Name [ "values", Json.floats l.Values ]
        ]

    let private inputProjections context =
        use model = Value.models context |> List.exactlyOne |> Take.onDevice context
        let tell share = context.Progress { Share = share; Text = "layer inputs" }

        layers [
            for l in InputProjection.Of(model, Take.split context, context.Args["examples"].Int, tell) ->
                named l.Name [ "values", Json.floats l.Values; "shares", Json.floats l.Shares ]
        ]

    let private singularVectors context =
        let a, b = Take.pair context
        let gammas = [| for gamma in context.Args["gammas"].Items -> gamma.Float |]

        let layer (l: LayerAlignment) = named l.Name [ "r", Json.float l.R; "kept", Json.int (int64 l.Kept) ]

        let threshold (t: AlignmentAtThreshold) =
            Json.Object [
                "gamma", Json.float t.Gamma
                "r", Json.float t.R
                "layers", Json.Array [ for l in t.Layers -> layer l ]
            ]

        Document(
            Json.Object [ "thresholds", Json.Array [ for t in SingularAlignment.Between(a, b, gammas) -> threshold t ] ]
        )

    // Shares of units that two searches map alike.
    let private agreement context =
        match Value.documents context with
        | [ one; other ] ->
            let sources (document: Json) =
                match document["groups"] with
                | Json.Object groups -> [ for name, units in groups -> name, units.Items |> List.map _.Int ]
                | _ -> []

            let groups =
                List.zip (sources one) (sources other)
                |> List.map (fun ((name, left), (_, right)) ->
                    name, List.zip left right |> List.filter (fun (i, j) -> i = j) |> List.length, left.Length)

            let share (same: int) (units: int) = Json.float (float same / float units)

            Document(
                Json.Object [
                    "agreement",
                    share (groups |> List.sumBy (fun (_, n, _) -> n)) (groups |> List.sumBy (fun (_, _, n) -> n))
                    "layers",
                    Json.Array [ for name, same, units in groups -> named name [ "agreement", share same units ] ]
                ]
            )
        | others -> raise (LmcException $"agreement: expected 2 alignments, found {others.Length}")

    /// The operations.
    let all: Op list =
        [
            { Name = "score"; Version = 1; Run = scoreOf }
            { Name = "barrier"; Version = 1; Run = barrier }
            { Name = "trainingBarrier"; Version = 1; Run = barrier }
            { Name = "taylor"; Version = 1; Run = taylor }
            { Name = "landscape"; Version = 1; Run = landscape }
            { Name = "distance"; Version = 1; Run = distance }
            { Name = "distanceForms"; Version = 1; Run = distanceForms }
            { Name = "outputBound"; Version = 1; Run = outputBound }
            { Name = "singularValues"; Version = 1; Run = singularValues }
            { Name = "inputProjections"; Version = 1; Run = inputProjections }
            { Name = "singularVectors"; Version = 1; Run = singularVectors }
            { Name = "agreement"; Version = 1; Run = agreement }
        ]
