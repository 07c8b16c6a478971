namespace LmcDsl.Tool

open Argu
open LmcDsl
open LmcDsl.Core.Merging
open LmcDsl.Core.Measures
open LmcDsl.Core.Runtime
open LmcDsl.Core.Spectra

/// `lmc measure A B`: distance, agreement of singular vectors, barrier of two models as they are.
[<RequireQualifiedAccess>]
module MeasureCommand =

    let private metrics = [ "l2"; "r"; "barrier"; "accuracy" ]

    /// Runs the command. Returns the numbers.
    let run (arguments: ParseResults<ModelArgument>) : Json =
        let wanted = (arguments.GetResult(ModelArgument.Metric, defaultValue = "l2,r")).Split ',' |> List.ofArray

        match wanted |> List.filter (fun metric -> not (List.contains metric metrics)) with
        | [] -> ()
        | unknown :: _ ->
            let known = String.concat ", " metrics
            raise (LmcException $"--metric: expected some of {known}, found '{unknown}'")

        use models = Models.load 2 arguments
        let a, b = models.Parameters[0], models.Parameters[1]

        let score (s: Score) = Json.Object [ "loss", Json.float s.Loss; "accuracy", Json.float s.Accuracy ]

        let barrier () =
            use data = Models.requiredData "a barrier" arguments
            let points = Models.points arguments

            let curve =
                Stage.during $"measuring {points} points between the models" (fun () ->
                    if StatisticsReset.Concerns models.Network then
                        Barrier.Along(a, b, data.Test, points, null, data.Train)
                    else
                        Barrier.Along(a, b, data.Test, points))

            Json.Object [
                "loss", Json.float curve.Loss
                "accuracy", Json.float curve.Accuracy
                "midpoint loss", Json.float curve.MidpointLoss
                "midpoint accuracy", Json.float curve.MidpointAccuracy
            ]

        Json.Object [
            yield! Models.said models

            for metric in wanted do
                match metric with
                | "l2" -> metric, Json.float (Distance.L2(a, b))
                | "r" ->
                    metric,
                    Json.Object [
                        for t in SingularAlignment.Between(a, b, 0.0, 0.3) -> $"gamma {t.Gamma}", Json.float t.R
                    ]
                | "barrier" -> metric, barrier ()
                | _ ->
                    use data = Models.requiredData "an accuracy" arguments

                    metric,
                    Json.Array [ for model in models.Parameters -> score (Evaluator.Evaluate(model, data.Test)) ]
        ]
