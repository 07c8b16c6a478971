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
    let private ofThree (s: Subject) = s.Key "models merged" = "–"
    let private by search (s: Subject) = s.Key "search" = search

    /// Both straight-through searches, as tables and as sentences call them: each is judged by itself.
    let private straightThrough =
        [
            "STE", "The straight-through estimator with a free copy (Git Re-Basin's)"
            "Sinkhorn STE", "The straight-through estimator over Sinkhorn logits (Sinkhorn re-basin's)"
        ]

    /// Weight matching as the paper solves it, and by coordinate descent: the first that was measured is judged.
    let private weightMatchings = [ "Sinkhorn"; "WM" ]

    let private claim experiment figure sentence rule judge =
        {
            Sentence = sentence
            Rule = rule
            Kind = OfNature
            Experiment = experiment
            Figure = figure
            Judge = judge
        }

    // Convolutional networks of the paper are 16 times as wide and trained for 100 epochs: a barrier that a narrow one keeps says nothing.
    let private atFullWidth judge =
        judge
        |> Judge.unlessLacking (fun e ->
            if e.Where.StartsWith "MLP" then
                None
            else
                Some "the paper's width and epochs (--scale paper)")

    let private ofThePaper (e: Evidence) = e.Where.EndsWith ", Sinkhorn"

    let private quarter = "after less a quarter of before"
    let private lessQuarter after before = after - before / 4.0

    let private weightMatching =
        [
            claim
                "table1"
                None
                "Weight matching hardly brings the weights of two models closer in L2."
                "The mean reduction of the L2 distance by the paper's solver is between 5 and 30 %."
                (Judge.mean [ "network"; "search" ] aligned Quantity.reduction (Bounds.between 5.0 30.0)
                 |> Judge.only ofThePaper)
            claim
                "table1"
                None
                "Weight matching nevertheless flattens the line between the two models."
                "The mean loss barrier after it, by the paper's solver, is below a quarter of that before."
                (Judge.combined
                    [ "network"; "search" ]
                    aligned
                    Quantity.lossBarrier
                    Quantity.naiveBarrier
                    quarter
                    lessQuarter
                    (Bounds.below 0.0)
                 |> atFullWidth
                 |> Judge.only ofThePaper)
            claim
                "table1"
                (Some "taylor")
                "The Taylor estimate, which sees the distance and the loss's slope and curvature, does not predict the barrier."
                "The estimate is off the loss's excess at λ = 1/2 by more than half of the larger of the two, by the paper's solver."
                (Judge.combined
                    [ "network"; "search" ]
                    aligned
                    Quantity.taylor
                    Quantity.midpointLoss
                    "difference less half of the larger"
                    (fun estimate excess -> abs (estimate - excess) - max (abs estimate) (abs excess) / 2.0)
                    (Bounds.above 0.0)
                 |> Judge.only ofThePaper)
        ]

    let private singularVectors =
        let energy =
            { Quantity.energyPerVector with
                Heading = "energy per dominant vector, times the mean"
                Digits = 2
            }

        let larger =
            Judge.combined
                network
                aligned
                (Quantity.r 0.3)
                (Quantity.r 0.0)
                "difference"
                (fun dominant others -> dominant - others)
                (Bounds.above 0.0)

        [
            claim
                "figure1"
                (Some "singular-values-mlp-mnist")
                "Singular values of independently trained models are nearly equal."
                "The relative difference of a layer's singular values between seeds is below 10 % on average over layers and pairs."
                (Spectra.differences >> Judge.mean network every Quantity.spectrumDifference (Bounds.below 10.0))
            claim
                "figure2"
                (Some "r-between-models")
                "Singular vectors of independently trained models do not agree."
                "R without permutation is between -0.1 and 0.1, at γ = 0 and at γ = 0.3."
                (Judge.both network naive (Quantity.r 0.0) (Quantity.r 0.3) (Bounds.between -0.1 0.1))
            claim
                "figure2"
                (Some "r-between-models")
                "Weight matching makes the dominant singular vectors agree."
                "With weight matching R at γ = 0.3 is above 0.1."
                (Judge.mean network aligned (Quantity.r 0.3) (Bounds.above 0.1))
            claim
                "figure2"
                (Some "r-between-models")
                "Weight matching aligns singular vectors of large singular values more than the others."
                "With weight matching R at γ = 0.3 is above R at γ = 0."
                larger
            claim
                "figure3"
                (Some "r-with-mean")
                "The merged MLP keeps the dominant singular vectors of its parents."
                "R at γ = 0.3 between the mean after weight matching and its parents is above 0.8, on the MLPs."
                (Judge.mean network (fun s -> s.Aligned && isMlp s && withMean s) (Quantity.r 0.3) (Bounds.above 0.8))
            claim
                "figure4"
                (Some "input-projections-mlp-mnist")
                "Layer inputs lie along the right singular vectors of large singular values."
                "A dominant vector (γ = 0.3) holds more of the energy of its layer's inputs than a vector does on average; mean over layers."
                (Spectra.inputEnergy 0.3 >> Judge.mean network every energy (Bounds.above 1.0))
        ]

    let private conditions =
        let has along keep (s: Subject) = keep s && s.Key along <> "–"
        let experimentOf along = if along = "width" then "width" else "regularisation"
        let falls along keep quantity = Judge.trend along network (has along keep) quantity (Bounds.atMost -0.8)

        let share along figure sentence =
            claim
                (experimentOf along)
                (Some figure)
                sentence
                $"The rank correlation of the share of dominant singular values with {along}, over five values or more, is at most -0.8."
                (falls along every (Quantity.dominantShare 0.3))

        // Where no value leaves a barrier there is none to lower.
        let barrier along figure sentence =
            let asked = Judge.largest along network (has along aligned) Quantity.lossBarrier (Bounds.above 0.02)

            claim
                (experimentOf along)
                (Some figure)
                sentence
                $"The rank correlation of the loss's excess at λ = 1/2 after weight matching with {along}, over five values or more, is at most -0.8. Decided where weight matching leaves a barrier above 0.02 at some value."
                (falls along aligned Quantity.midpointLoss
                 |> Judge.given "a setting in which weight matching leaves a barrier above 0.02" asked)

        [
            share "width" "dominant" "Wider networks have a smaller share of dominant singular values."
            barrier "width" "barrier" "Wider networks have a lower barrier after weight matching."
            share
                "weight decay"
                "dominant-decay"
                "Larger weight decay leaves a smaller share of dominant singular values."
            barrier "weight decay" "barrier-decay" "Larger weight decay gives a lower barrier after weight matching."
            share
                "learning rate"
                "dominant-rate"
                "A larger learning rate leaves a smaller share of dominant singular values."
            barrier "learning rate" "barrier-rate" "A larger learning rate gives a lower barrier after weight matching."
        ]

    let private otherSearches =
        [
            claim
                "activationMatching"
                (Some "r-activation-matching")
                "Activation matching gives nearly the singular-vector agreement of weight matching."
                "R at γ = 0.3 of activation matching is within 0.1 of weight matching's."
                (Judge.against network aligned [ "WM" ] [ "AM" ] (Quantity.r 0.3) (Bounds.between -0.1 0.1))
            claim
                "activationMatching"
                None
                "Activation matching gives nearly the distances of weight matching."
                "The reduction of L2 by activation matching is within 5 points of weight matching's."
                (Judge.against network aligned [ "WM" ] [ "AM" ] Quantity.reduction (Bounds.between -5.0 5.0))
            for search, name in straightThrough do
                claim
                    "table2"
                    (Some "barrier-straight-through")
                    $"{name} reaches a low barrier between the pair."
                    "The mean loss barrier after it is below a quarter of that before."
                    (Judge.combined
                        [ "network"; "search" ]
                        (fun s -> s.Aligned && by search s)
                        Quantity.lossBarrier
                        Quantity.naiveBarrier
                        quarter
                        lessQuarter
                        (Bounds.below 0.0)
                     |> atFullWidth)

                claim
                    "table2"
                    (Some "r-straight-through")
                    $"{name} does not align singular vectors."
                    "R at γ = 0.3 after it is below 0.1."
                    (Judge.mean
                        [ "network"; "search" ]
                        (fun s -> s.Aligned && by search s)
                        (Quantity.r 0.3)
                        (Bounds.below 0.1))
        ]

    // Weight matching flattens the line of the pair that it saw: what is asked of claims on what follows from that.
    let private flattens (report: Report) : Evidence list =
        let seen (s: Subject) = s.Aligned && ofThree s && s.Models = [ "0"; "1" ]

        weightMatchings
        |> List.collect (fun search ->
            Judge.combined
                network
                (fun s -> seen s && by search s)
                Quantity.lossBarrier
                Quantity.naiveBarrier
                quarter
                lessQuarter
                (Bounds.below 0.0)
                report)
        |> List.distinctBy _.Where

    let private several =
        let compare experiment figure keep quantity search sentence rule range =
            claim experiment figure sentence rule (Judge.against network keep weightMatchings [ search ] quantity range)

        let givenFlat (claim: Claim) =
            { claim with
                Rule = claim.Rule + " Decided where weight matching itself flattens the line between a and b."
                Judge =
                    claim.Judge
                    |> Judge.given "a network on which weight matching flattens the line between a and b" flattens
            }

        let bAndC (s: Subject) = s.Aligned && ofThree s && s.Models = [ "1"; "2" ]
        let centre = { Quantity.centreAccuracy with Heading = "at the mean (%)" }

        [
            for search, name in straightThrough do
                compare
                    "table3"
                    (Some "barrier-b-c")
                    bAndC
                    Quantity.midpointLoss
                    search
                    $"Of three models, {name.Substring(0, 1).ToLower() + name.Substring 1} leaves a higher barrier between b and c, each aligned to a, than weight matching."
                    "The loss's excess at λ = 1/2 of (b, c), which may be below 0, is above weight matching's."
                    (Bounds.above 0.0)
                |> givenFlat

                compare
                    "figure5"
                    (Some "r-b-c")
                    aligned
                    (Quantity.r 0.3)
                    search
                    $"{name} leaves the singular vectors of b and c less aligned than weight matching."
                    "R at γ = 0.3 of (b, c) is below weight matching's."
                    (Bounds.below 0.0)

                compare
                    "table3"
                    None
                    (fun s -> s.Aligned && ofThree s && isMean s)
                    Quantity.accuracy
                    search
                    $"{name} gives a worse mean of three models than weight matching."
                    "The accuracy of the mean of three is below weight matching's."
                    (Bounds.below 0.0)
                |> givenFlat

                compare
                    "table3"
                    (Some "mean-of-n")
                    (fun s -> s.Aligned && s.Key "models merged" = "10" && isMean s)
                    Quantity.accuracy
                    search
                    $"{name} gives a worse mean of ten models than weight matching."
                    "The accuracy of the mean of ten is below weight matching's."
                    (Bounds.below 0.0)
                |> givenFlat
            claim
                "figure6"
                (Some "landscape-aligned-mlp-mnist")
                "After weight matching three models lie in one basin."
                "On the plane through them the accuracy at their mean is within 2 points of that at the models, or above it."
                (Judge.combined
                    network
                    aligned
                    centre
                    Quantity.cornerAccuracy
                    "difference"
                    (fun mean models -> mean - models)
                    (Bounds.atLeast -2.0))
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
                        Finding = if rule most then AsClaimed else NotAsClaimed
                    }
            ]

        let check experiment figure sentence rule judge =
            { claim experiment figure sentence rule judge with Kind = OfCode }

        [
            check
                "theorem41"
                None
                "Theorem 4.1: the squared distance of two weights follows from their singular values and vectors."
                "In no layer does it differ from the direct one by more than one part in 10,000."
                (largest relative (fun millionths -> millionths < 100.0) distanceFormsByLayer)
            check
                "theorem42"
                (Some "output-bound")
                "Theorem 4.2: the disagreement of dominant singular vectors bounds how far a layer's outputs differ (our derivation)."
                "For no input of no layer does the measured difference exceed the bound."
                (largest ratio (fun r -> r <= 1.0001) outputBoundByLayer)
        ]

    /// All of them, in the paper's order, theorems last.
    let all: Claim list = weightMatching @ singularVectors @ conditions @ otherSearches @ several @ theorems

    /// Those of a scale: the smallest one checks that everything works, and decides nothing but theorems.
    let at (size: Size) : Claim list =
        match size with
        | Smoke ->
            [
                for claim in all ->
                    if claim.Kind = OfCode then
                        claim
                    else
                        Claim.undecidable "--scale laptop or paper" claim
            ]
        | _ -> all
