namespace LmcDsl

open LmcDsl.Core.Measures

/// What the agreement of activations is stored as.
module ActivationsValue =

    type Group = { Name: string; Correlation: float; Weighted: float; Kernel: float }

    type Activations = { Groups: Group list }

/// How alike two models' hidden units are on the same test images.
[<AutoOpen>]
module ActivationsMetric =

    open ActivationsValue

    let private measure =
        Measure.make "activations" 2 (fun context ->
            let examples = context.Args["examples"].Int
            let tell = Take.tell context "activations"

            {
                Groups =
                    Take.pairOnDevice context (fun a b ->
                        [
                            for g in ActivationAgreement.Between(a, b, Take.split context, examples, tell) ->
                                {
                                    Name = g.Name
                                    Correlation = g.Correlation
                                    Weighted = g.Weighted
                                    Kernel = g.Kernel
                                }
                        ])
            })

    let private meanOf (number: Group -> float) (value: Activations) =
        if value.Groups.IsEmpty then
            None
        else
            Some(value.Groups |> List.averageBy number)

    [<RequireQualifiedAccess>]
    module Quantity =

        /// The correlation of units with those that they are matched with, mean over units and groups.
        let unitCorrelation = measure |> Measure.quantityWhere "correlation of units" 3 (meanOf _.Correlation)

        /// The same with each unit counting by how much it varies.
        let weightedCorrelation = measure |> Measure.quantityWhere "correlation by variance" 3 (meanOf _.Weighted)

        /// Linear CKA of the layers' activations, mean over groups: what no permutation changes.
        let kernelAlignment = measure |> Measure.quantityWhere "CKA" 3 (meanOf _.Kernel)

    /// How alike the units of two models are on so many test images: their correlation, unit by unit, and CKA.
    let ActivationsOn (examples: int) : Metric =
        measure
        |> Metric.on Looks.pairs "activations of" (Metric.onTest [ "examples", Json.int (int64 examples) ]) [
            Quantity.unitCorrelation
            Quantity.weightedCorrelation
            Quantity.kernelAlignment
        ]

    /// The same on 2,000 test images.
    let Activations = ActivationsOn 2000
