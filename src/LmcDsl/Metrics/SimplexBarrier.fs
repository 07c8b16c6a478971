namespace LmcDsl

open LmcDsl.Core.Measures

/// What the barrier of several models is stored as.
module SimplexBarrierValue =

    type Mixture = { Shares: float list; Loss: float; Accuracy: float; Excess: float }

    type Mixtures = { Loss: float; Mixtures: Mixture list }

/// The loss barrier of all members together: the largest excess over mixtures of them (2506.22712, equation 2), on the test set.
[<AutoOpen>]
module SimplexBarrierMetric =

    open SimplexBarrierValue

    let private compute context =
        let models = Value.models context |> List.map (Take.onDevice context)

        try
            let data, examples = LineScores.resetOn context

            let found =
                SimplexBarrier.Over(
                    List.toArray models,
                    Take.split context,
                    context.Args["parts"].Int,
                    progress = Take.tell context "mixtures",
                    resetOn = data,
                    resetExamples = examples
                )

            {
                Loss = found |> Seq.map _.Excess |> Seq.max
                Mixtures =
                    [
                        for point in found ->
                            {
                                Shares = List.ofSeq point.Shares
                                Loss = point.Score.Loss
                                Accuracy = point.Score.Accuracy
                                Excess = point.Excess
                            }
                    ]
            }
        finally
            for model in models do
                model.Dispose()

    let private measure = Measure.make "simplexBarrier" 1 compute

    [<RequireQualifiedAccess>]
    module Quantity =

        /// The loss barrier of several models, in nats.
        let simplexBarrier = measure |> Measure.quantity "barrier of all" 3 _.Loss

    let private looks (p: Population) : Look list =
        let taken = Population.taken p

        [
            for aligned in Population.states p ->
                {
                    Models = List.map string taken
                    Aligned = aligned
                    Words = $"{taken.Length} models, {Population.stateWord aligned}"
                    Inputs = taken |> List.map (Population.memberOf p aligned >> Plan.node)
                }
        ]

    /// The loss barrier of all members together, over mixtures whose shares are multiples of 1 / parts.
    let SimplexBarrierOf (parts: int) : Metric =
        measure
        |> Metric.on
            looks
            "barrier of"
            (fun p -> Population.onData "test" (("parts", Json.int (int64 parts)) :: Population.resetOn p) p)
            [ Quantity.simplexBarrier ]
        |> Metric.called "simplex-barrier"

    /// The loss barrier of all members together, in quarters.
    let SimplexBarrier = SimplexBarrierOf 4
