namespace LmcDsl

open LmcDsl.Core.Measures

/// Loss and accuracy of the models themselves, on the test set.
[<AutoOpen>]
module ScoreMetric =

    let private measure =
        Measure.make "score" 1 (fun context ->
            let score = Take.modelOnDevice context (fun model -> Evaluator.Evaluate(model, Take.split context))
            {| Loss = score.Loss; Accuracy = score.Accuracy |})

    [<RequireQualifiedAccess>]
    module Quantity =

        /// The loss of a model on the test set.
        let loss = measure |> Measure.quantity "loss" 4 _.Loss |> Quantity.inUnits "nats"

        /// The perplexity of a language model on the test set: e to the loss.
        let perplexity = measure |> Measure.quantity "perplexity" 2 (fun score -> exp score.Loss)

        /// The accuracy of a model on the test set, in per cent.
        let accuracy = measure |> Measure.quantity "accuracy (%)" 2 (fun score -> 100.0 * score.Accuracy)

    /// Loss and accuracy on the test set.
    let Accuracy =
        measure
        |> Metric.on Looks.modelsAndMean "score of" (Metric.onTest []) [ Quantity.loss; Quantity.accuracy ]
        |> Metric.called "accuracy"
