namespace LmcDsl.Paper

open LmcDsl

/// The claims of 2402.04051 that its experiments decide, each with the rule that decides it. A verdict is computed, never written.
[<RequireQualifiedAccess>]
module Claims =

    let private network = [ "network" ]
    let private every (_: Subject) = true
    let private aligned (s: Subject) = s.Aligned
    let private naive (s: Subject) = not s.Aligned
    let private isMean (s: Subject) = s.Models = [ "mean" ]
    let private withMean (s: Subject) = List.contains "mean" s.Models
    let private isMlp (s: Subject) = s.Key("network").StartsWith "MLP"
    let private ste = [ "STE"; "Sinkhorn STE" ]
    let private ofThree (s: Subject) = s.Key "models merged" = "–"

    let private claim experiment figure sentence rule judge =
        {
            Sentence = sentence
            Rule = rule
            Experiment = experiment
            Figure = figure
            Judge = judge
        }

    let private weightMatching =
        [
            claim
                "table1"
                None
                "Weight matching hardly brings the weights of two models closer in L2."
                "The mean reduction of the L2 distance is between 5 and 30 %."
                (Claim.mean [ "network"; "search" ] aligned Quantity.reduction (fun drop -> 5.0 <= drop && drop <= 30.0))
            claim
                "table1"
                None
                "Weight matching nevertheless flattens the line between the two models."
                "The mean loss barrier after it is below a quarter of that before."
                (Claim.both
                    [ "network"; "search" ]
                    aligned
                    Quantity.lossBarrier
                    Quantity.naiveBarrier
                    (fun after before -> after < before / 4.0))
            claim
                "table1"
                (Some "taylor")
                "The Taylor estimate, which sees the distance and the loss's slope and curvature, does not predict the barrier."
                "A paired t-test of the estimate and the loss's excess at λ = 1/2 finds them different (p < 0.05)."
                (Claim.paired [ "network"; "search" ] aligned Quantity.taylor Quantity.midpointLoss (fun p -> p < 0.05))
        ]

    let private singularVectors =
        let energy =
            { Quantity.energyPerVector with
                Heading = "energy per dominant vector, times the mean"
                Digits = 2
            }

        [
            claim
                "figure1"
                (Some "singular-values-mlp-mnist")
                "Singular values of independently trained models are nearly equal."
                "The relative difference of a layer's singular values between seeds is below 10 % on average over layers and pairs."
                (Spectra.differences >> Claim.mean network every Quantity.spectrumDifference (fun d -> d < 10.0))
            claim
                "figure2"
                (Some "r-between-models")
                "Singular vectors of independently trained models do not agree."
                "R without permutation is between -0.1 and 0.1, at γ = 0 and at γ = 0.3."
                (Claim.both network naive (Quantity.r 0.0) (Quantity.r 0.3) (fun x y -> abs x < 0.1 && abs y < 0.1))
            claim
                "figure2"
                (Some "r-between-models")
                "Weight matching makes the dominant singular vectors agree."
                "With weight matching R at γ = 0.3 is above 0.1."
                (Claim.mean network aligned (Quantity.r 0.3) (fun r -> r > 0.1))
            claim
                "figure2"
                (Some "r-between-models")
                "Weight matching aligns singular vectors of large singular values more than the others."
                "With weight matching R at γ = 0.3 is above R at γ = 0."
                (Claim.both network aligned (Quantity.r 0.3) (Quantity.r 0.0) (fun dominant others -> dominant > others))
            claim
                "figure3"
                (Some "r-with-mean")
                "The merged MLP keeps the dominant singular vectors of its parents."
                "R at γ = 0.3 between the mean after weight matching and its parents is above 0.8, on the MLPs."
                (Claim.mean network (fun s -> s.Aligned && isMlp s && withMean s) (Quantity.r 0.3) (fun r -> r > 0.8))
            claim
                "figure4"
                (Some "input-projections-mlp-mnist")
                "Layer inputs lie along the right singular vectors of large singular values."
                "A dominant vector (γ = 0.3) holds more of the energy of its layer's inputs than a vector does on average; mean over layers."
                (Spectra.inputEnergy 0.3 >> Claim.mean network every energy (fun times -> times > 1.0))
        ]

    let private conditions =
        let falls along figure quantity keep rule sentence =
            let experiment = if along = "width" then "width" else "regularisation"

            claim
                experiment
                figure
                sentence
                $"The rank correlation of {rule} with {along} is at most -0.8."
                (Claim.trend along network (fun s -> keep s && s.Key along <> "–") quantity (fun c -> c <= -0.8))

        let share = Quantity.dominantShare 0.3

        [
            falls
                "width"
                (Some "dominant")
                share
                every
                "the share of dominant singular values"
                "Wider networks have a smaller share of dominant singular values."
            falls
                "width"
                (Some "barrier")
                Quantity.midpointLoss
                aligned
                "the loss's excess at λ = 1/2 after weight matching, which may be below 0,"
                "Wider networks have a lower barrier after weight matching."
            falls
                "weight decay"
                (Some "dominant-decay")
                share
                every
                "the share of dominant singular values"
                "Larger weight decay leaves a smaller share of dominant singular values."
            falls
                "weight decay"
                (Some "barrier-decay")
                Quantity.midpointLoss
                aligned
                "the loss's excess at λ = 1/2 after weight matching, which may be below 0,"
                "Larger weight decay gives a lower barrier after weight matching."
            falls
                "learning rate"
                (Some "dominant-rate")
                share
                every
                "the share of dominant singular values"
                "A larger learning rate leaves a smaller share of dominant singular values."
            falls
                "learning rate"
                (Some "barrier-rate")
                Quantity.midpointLoss
                aligned
                "the loss's excess at λ = 1/2 after weight matching, which may be below 0,"
                "A larger learning rate gives a lower barrier after weight matching."
        ]

    let private otherSearches =
        [
            claim
                "activationMatching"
                (Some "r-activation-matching")
                "Activation matching gives nearly the singular-vector agreement of weight matching."
                "R at γ = 0.3 of activation matching is within 0.1 of weight matching's."
                (Claim.against network aligned "WM" [ "AM" ] (Quantity.r 0.3) (fun own other ->
                    abs (own - other) <= 0.1))
            claim
                "activationMatching"
                None
                "Activation matching gives nearly the distances of weight matching."
                "The reduction of L2 by activation matching is within 5 points of weight matching's."
                (Claim.against network aligned "WM" [ "AM" ] Quantity.reduction (fun own other ->
                    abs (own - other) <= 5.0))
            claim
                "table2"
                (Some "barrier-straight-through")
                "The straight-through estimator reaches a low barrier between the pair."
                "The mean loss barrier after it is below a quarter of that before."
                (Claim.both
                    [ "network"; "search" ]
                    (fun s -> s.Aligned && List.contains (s.Key "search") ste)
                    Quantity.lossBarrier
                    Quantity.naiveBarrier
                    (fun after before -> after < before / 4.0))
            claim
                "table2"
                (Some "r-straight-through")
                "The straight-through estimator does not align singular vectors."
                "R at γ = 0.3 after it is below 0.1."
                (Claim.mean
                    [ "network"; "search" ]
                    (fun s -> s.Aligned && List.contains (s.Key "search") ste)
                    (Quantity.r 0.3)
                    (fun r -> r < 0.1))
        ]

    let private several =
        let compare experiment figure keep quantity sentence rule holds =
            claim experiment figure sentence rule (Claim.against network keep "WM" ste quantity holds)

        let bAndC (s: Subject) = s.Aligned && ofThree s && s.Models = [ "1"; "2" ]
        let centre = { Quantity.centreAccuracy with Heading = "at the mean (%)" }

        [
            compare
                "table3"
                (Some "barrier-b-c")
                bAndC
                Quantity.lossBarrier
                "Of three models, the straight-through estimator leaves a higher barrier between b and c, each aligned to a, than weight matching."
                "The mean loss barrier of (b, c) is above weight matching's."
                (>)
            compare
                "figure5"
                (Some "r-b-c")
                aligned
                (Quantity.r 0.3)
                "The straight-through estimator leaves the singular vectors of b and c less aligned than weight matching."
                "R at γ = 0.3 of (b, c) is below weight matching's."
                (<)
            compare
                "table3"
                None
                (fun s -> s.Aligned && ofThree s && isMean s)
                Quantity.accuracy
                "The mean of three models is worse after the straight-through estimator than after weight matching."
                "The accuracy of the mean of three is below weight matching's."
                (<)
            compare
                "table3"
                (Some "mean-of-n")
                (fun s -> s.Aligned && s.Key "models merged" = "10" && isMean s)
                Quantity.accuracy
                "The mean of ten models is worse after the straight-through estimator than after weight matching."
                "The accuracy of the mean of ten is below weight matching's."
                (<)
            claim
                "figure6"
                (Some "landscape-aligned-mlp-mnist")
                "After weight matching three models lie in one basin."
                "On the plane through them the accuracy at their mean is within 2 points of that at the models."
                (Claim.both network aligned centre Quantity.cornerAccuracy (fun mean models -> mean > models - 2.0))
        ]

    let private theorems =
        let relative =
            { Quantity.formsDifference with
                Heading = "relative difference of the two forms (1e-6)"
            }

        let ratio = { Quantity.boundRatio with Heading = "measured / bound" }

        let largest (quantity: Quantity) rule (byLayer: Report -> Report) (report: Report) : Evidence list =
            [
                for name, subjects in byLayer report |> Subject.ofReport |> List.groupBy _.Key("network") do
                    let most = subjects |> List.choose quantity.Of |> List.max

                    {
                        Where = name
                        Measured =
                            $"{quantity.Heading}, the largest of {subjects.Length} layers: {Quantity.show quantity most}"
                        Holds = rule most
                    }
            ]

        [
            claim
                "theorem41"
                None
                "Theorem 4.1: the squared distance of two weights follows from their singular values and vectors."
                "In no layer does it differ from the direct one by more than one part in 10,000."
                (largest relative (fun millionths -> millionths < 100.0) distanceFormsByLayer)
            claim
                "theorem42"
                (Some "output-bound")
                "Theorem 4.2: the disagreement of dominant singular vectors bounds how far a layer's outputs differ (our derivation)."
                "For no input of no layer does the measured difference exceed the bound."
                (largest ratio (fun r -> r <= 1.0001) outputBoundByLayer)
        ]

    /// All of them, in the paper's order.
    let all: Claim list = weightMatching @ singularVectors @ theorems @ conditions @ otherSearches @ several
