namespace LmcDsl.Beyond

open LmcDsl
open LmcDsl.Beyond.Sentence

/// The questions that 2402.04051 leaves open, as sentences that measurements decide by rule.
[<RequireQualifiedAccess>]
module Claims =

    let private straightThrough =
        [
            "STE", "the straight-through estimator with a free copy"
            "Sinkhorn STE", "the straight-through estimator over Sinkhorn logits"
        ]

    // Numbers of pairs of models: one for each list of seeds, where there is one.
    let private perSeeds (keep: Subject -> bool) (number: Subject list -> float option) (report: Report) : float list =
        Subject.ofReport report |> List.filter keep |> List.groupBy _.Key("seeds") |> List.choose (snd >> number)

    // Deviation over mean of a quantity over subjects.
    let private variation (quantity: Quantity) (subjects: Subject list) : float option =
        match subjects |> List.choose quantity.Of with
        | values when values.Length < 2 -> None
        | values ->
            let summary = Statistics.summarise values
            if summary.Mean = 0.0 then None else Some(summary.Deviation / abs summary.Mean)

    /// Next check 2: dependence on the loss landscape.
    let private dependence =
        let ofGrid (s: Subject) = s.Aligned && s.Key "optimiser" <> "–"
        let itself (s: Subject) = ofGrid s && s.Key "found on" = "itself"
        let borrowed (s: Subject) = ofGrid s && s.Key "found on" = "the first"
        let excess, naive = Quantity.midpointLoss, Quantity.naiveBarrier
        let settings = [ "optimiser"; "learning rate"; "batch size"; "weight decay" ]
        let cell (s: Subject) = settings |> List.map s.Key

        // Of the set-ups that permutations were borrowed in: the share of the barrier that a search takes away by its own and by borrowed ones.
        let kept search (subjects: Subject list) : float option =
            let own = subjects |> List.filter (fun s -> itself s && by search s) |> List.map (fun s -> cell s, s) |> Map

            let pairs =
                [
                    for s in subjects do
                        if borrowed s && by search s then
                            match own.TryFind(cell s) with
                            | Some same -> same, s
                            | None -> ()
                ]

            match
                mean naive (List.map snd pairs), mean excess (List.map fst pairs), mean excess (List.map snd pairs)
            with
            | Some before, Some own, Some borrowed when before > own -> Some((before - borrowed) / (before - own))
            | _ -> None

        [
            for search, name in ("WM", "weight matching") :: straightThrough do
                claim
                    "dependence"
                    "transfer"
                    $"Permutations that {name} found on one training set-up serve models of the same seeds trained by another."
                    "Over the other set-ups the mean excess of the loss at λ = 1/2 with borrowed permutations is below half of the naive barrier."
                    (fun report ->
                        perSeeds
                            (fun s -> borrowed s && by search s)
                            (fun own ->
                                Option.map2 (fun after before -> after / before) (mean excess own) (mean naive own))
                            report
                        |> evidence (Bounds.below 0.5) search "excess over the naive barrier" 3)
            for search, name in straightThrough do
                claim
                    "dependence"
                    "transfer"
                    $"Permutations of {name} lose more on another training set-up than weight matching's."
                    "The share of its own gain that a search keeps with borrowed permutations is smaller than weight matching's."
                    (fun report ->
                        perSeeds
                            ofGrid
                            (fun own -> Option.map2 (fun wm ste -> ste - wm) (kept "WM" own) (kept search own))
                            report
                        |> evidence (Bounds.below 0.0) search "share of the gain kept, less weight matching's" 3)

                claim
                    "dependence"
                    "r-by-optimiser"
                    $"Over training set-ups R varies more after {name} than after weight matching."
                    "The coefficient of variation of R at γ = 0.3 over the grid is above weight matching's."
                    (fun report ->
                        let of' search own = variation (Quantity.r 0.3) (List.filter (by search) own)

                        perSeeds
                            itself
                            (fun own -> Option.map2 (fun wm ste -> ste - wm) (of' "WM" own) (of' search own))
                            report
                        |> evidence (Bounds.above 0.0) search "coefficient of variation, less weight matching's" 3)
            for aligned, words, number in [ false, "without permutation", 0.013; true, "after weight matching", -0.003 ] do
                claim
                    "dependence"
                    "transfer"
                    $"A wide MLP on MNIST, trained with weight decay 0.003, has a flat line {words}, as 2510.08023 reports."
                    $"The loss's excess at λ = 1/2 is within 0.05 nats of the published {number}. 16 times the width is taken to be 8,192 units; the temperature is not fitted here. A narrower network counts for it only."
                    ((fun report ->
                        Subject.ofReport report
                        |> List.filter (fun s -> s.Aligned = aligned && s.Key "optimiser" = "–")
                        |> List.groupBy _.Key("network")
                        |> List.collect (fun (network, own) ->
                            Judge.byMeasurement excess own
                            |> Map.values
                            |> List.ofSeq
                            |> evidence (Bounds.between (number - 0.05) (number + 0.05)) network "excess at 1/2" 3))
                     |> Judge.unlessLacking (fun e ->
                         if e.Where.StartsWith "MLP 8192" then
                             None
                         else
                             Some "a network as wide, trained as long (--scale paper: 8,192 units, 100 epochs)"))
        ]

    /// Next check 3: five models and more.
    let private several =
        let isMean (s: Subject) = s.Models = [ "mean" ]
        let merged (n: int) (s: Subject) = s.Key "models merged" = string n

        // By what is shared, search and seeds: the mean of n models' accuracy, less that of the models, in points.
        let lacks (n: int) (report: Report) : ((string * string) * float list) list =
            let subjects = Subject.ofReport report
            let at (s: Subject) = s.Key "shared", s.Key "seeds"

            let models =
                subjects
                |> List.filter (fun s -> merged n s && not (isMean s))
                |> List.groupBy at
                |> List.choose (fun (key, own) -> mean Quantity.accuracy own |> Option.map (fun value -> key, value))
                |> Map.ofList

            [
                for (shared, search), own in
                    subjects
                    |> List.filter (fun s -> isMean s && merged n s)
                    |> List.groupBy (fun s -> s.Key "shared", (if s.Aligned then s.Key "search" else "naive")) do
                    (shared, search),
                    [
                        for s in own do
                            match models.TryFind(at s), Quantity.accuracy.Of s with
                            | Some model, Some mean -> mean - model
                            | _ -> ()
                    ]
            ]
            |> List.filter (fun (_, values) -> not values.IsEmpty)

        let within = -2.0

        let lastWithin key report =
            let good =
                [ 2..10 ]
                |> List.takeWhile (fun n ->
                    lacks n report |> List.exists (fun (own, values) -> own = key && List.average values >= within))

            match List.tryLast good with
            | Some n -> $"the mean of up to {n} is within 2 points"
            | None -> "no mean is within 2 points"

        // Of what is shared and a search: R of unseen pairs.
        let unseen (report: Report) =
            Subject.ofReport report
            |> List.filter (fun s -> s.Models.Length = 2)
            |> List.groupBy (fun s -> s.Key "shared", (if s.Aligned then s.Key "search" else "naive"))
            |> List.choose (fun (key, own) -> mean (Quantity.r 0.3) own |> Option.map (fun r -> key, r))
            |> Map.ofList

        [
            claim
                "several"
                "mean-of-n-nothing"
                "The mean of ten aligned models is as good as they are."
                "Its accuracy is at most 2 points below the mean of its models', by what the models share and by search; the last n up to which that holds is given."
                (fun report ->
                    [
                        for (shared, search), values in lacks 10 report do
                            if search <> "naive" then
                                let e =
                                    Judge.values
                                        (Bounds.atLeast within)
                                        $"sharing {shared}, {search}"
                                        "mean less models (pp)"
                                        2
                                        values

                                { e with Measured = $"{e.Measured}; {lastWithin (shared, search) report}" }
                    ])
            claim
                "several"
                "r-unseen"
                "R of pairs that no search saw predicts how good the mean of ten models is."
                "Over searches and what models share, the rank correlation of R at γ = 0.3 of unseen pairs with the accuracy that the mean of ten lacks is at least 0.8."
                (fun report ->
                    let r = unseen report

                    [
                        for key, values in lacks 10 report do
                            match r.TryFind key with
                            | Some r -> r, List.average values
                            | None -> ()
                    ]
                    |> ranked (Bounds.atLeast 0.8) "populations and searches")
            claim
                "several"
                "mean-of-n-10-epochs"
                "The more of their training models share, the better is their naive mean."
                "The rank correlation of the accuracy that the naive mean of ten lacks with the order nothing, initialisation, 1, 3, 10 epochs is at least 0.8."
                (fun report ->
                    let order = [ "nothing"; "initialisation"; "1 epochs"; "3 epochs"; "10 epochs" ]

                    let rows =
                        [
                            for (shared, search), values in lacks 10 report do
                                if search = "naive" then
                                    match List.tryFindIndex ((=) shared) order with
                                    | Some place -> float place, values
                                    | None -> ()
                        ]

                    let seeds = if rows.IsEmpty then 0 else rows |> List.map (snd >> List.length) |> List.min

                    if rows.Length < Judge.leastValues || seeds = 0 then
                        []
                    else
                        let curve (chosen: int list) =
                            Interval.rankCorrelation [
                                for place, values in rows -> place, chosen |> List.averageBy (fun k -> values[k])
                            ]

                        let found = Interval.bootstrap curve [ 0 .. seeds - 1 ]
                        let shown = rows |> List.map (snd >> List.average >> Number.fixedPoint 1) |> String.concat ", "

                        [
                            {
                                Where = "naive mean of ten"
                                Measured = $"mean less models (pp): {shown}; rank correlation {Interval.show 2 found}"
                                Finding = Judge.finding (Bounds.atLeast 0.8) (fun () -> "more lists of models") found
                            }
                        ])
        ]

    /// Open question 1: what the straight-through estimator does instead. Each is an explanation; what does not hold is ruled out.
    let private mechanism =
        let ste = "Sinkhorn STE"
        let all (s: Subject) = s.Aligned && s.Key "images" = "–"

        let explained figure sentence rule other share quantity words range =
            claim "mechanism" figure sentence rule (less all ste share other quantity >> evidence range ste words 3)

        [
            explained
                "what-is-aligned"
                "The straight-through estimator aligns dominant singular vectors."
                "R at γ = 0.3 after it is at least half of weight matching's."
                "WM"
                0.5
                (Quantity.r 0.3)
                "R less half of weight matching's"
                (Bounds.atLeast 0.0)
            explained
                "what-is-aligned"
                "The straight-through estimator matches units that do alike."
                "The correlation of matched units' activations is at least half of activation matching's."
                "AM"
                0.5
                Quantity.unitCorrelation
                "correlation less half of activation matching's"
                (Bounds.atLeast 0.0)
            explained
                "what-is-aligned"
                "The straight-through estimator matches those units alike that vary most."
                "The correlation of matched units' activations, each counting by its variance, is at least half of activation matching's."
                "AM"
                0.5
                Quantity.weightedCorrelation
                "correlation by variance less half of activation matching's"
                (Bounds.atLeast 0.0)
            claim
                "mechanism"
                "what-is-aligned"
                "The straight-through estimator matches the units that weight matching matches."
                "At least half of the units are matched alike."
                (Subject.ofReport
                 >> List.filter (fun s -> all s && by ste s)
                 >> Judge.byMeasurement Quantity.agreement
                 >> Map.values
                 >> List.ofSeq
                 >> evidence (Bounds.atLeast 50.0) ste "units matched alike (%)" 1)
            explained
                "curvature"
                "The straight-through estimator finds a line that is less curved than weight matching's."
                "The size of the loss's second derivative along the line, halfway, is below weight matching's."
                "WM"
                1.0
                { Quantity.curvature with Of = Quantity.curvature.Of >> Option.map abs }
                "size of the curvature less weight matching's"
                (Bounds.below 0.0)
            explained
                "curvature"
                "The straight-through estimator brings the models nearer."
                "It lowers the L2 distance by at least half of what weight matching does."
                "WM"
                0.5
                Quantity.reduction
                "L2 drop less half of weight matching's (points)"
                (Bounds.atLeast 0.0)
            for search, name in [ "AM", "Activation matching"; ste, "The straight-through estimator" ] do
                claim
                    "mechanism"
                    "generalisation"
                    $"{name} generalises from the images that it saw."
                    "For each number of images, the excess at λ = 1/2 on test images is at most 0.05 nats above that on the images that it was given."
                    (fun report ->
                        let rows =
                            Subject.ofReport report
                            |> List.filter (fun s -> s.Aligned && s.Key "images" <> "–" && by search s)

                        [
                            for images, own in rows |> List.groupBy _.Key("images") do
                                let seen = Judge.byMeasurement Quantity.trainingMidpoint own

                                let gaps =
                                    [
                                        for KeyValue(key, test) in Judge.byMeasurement Quantity.midpointLoss own do
                                            match seen.TryFind key with
                                            | Some seen -> test - seen
                                            | None -> ()
                                    ]

                                yield!
                                    evidence
                                        (Bounds.atMost 0.05)
                                        $"{images} images"
                                        "excess on test less on seen images"
                                        3
                                        gaps
                        ])
        ]

    /// Open question 2: width.
    let private width =
        let dominant = Quantity.dominantShare 0.3

        let ofNetworks (judge: string -> Law.Curve list -> Evidence option) report =
            [
                for network in Law.networks report do
                    match Law.curves network report with
                    | [] -> ()
                    | curves -> yield! judge network curves |> Option.toList
            ]

        let interval network words digits (range: Bounds) takes (found: Interval) =
            if System.Double.IsNaN found.Value then
                {
                    Where = network
                    Measured = $"{words}: no law, since fewer than two widths leave a barrier"
                    Finding = Undecided takes
                }
            else
                {
                    Where = network
                    Measured = $"{words}: {Interval.show digits found}; n = {found.Count}"
                    Finding = Judge.finding range (fun () -> takes) found
                }

        [
            claim
                "widthLaw"
                "law-mlp-fashion-mnist"
                "The barrier after weight matching falls as a power of the width."
                "The fitted power's interval is below 0."
                (ofNetworks (fun network curves ->
                    Law.slopeOf curves |> interval network "power" 2 (Bounds.below 0.0) "more pairs or widths" |> Some))
            claim
                "widthLaw"
                "law-conv-fashion-mnist"
                "Within the widths measured the barrier falls below a tenth of the naive one."
                "The first width of a tenth, between two that were measured, lies within them with its interval."
                (ofNetworks (fun network curves ->
                    let widths = curves |> List.concat |> List.map (fun (width, _, _) -> width)
                    let range = Bounds.between (List.min widths) (List.max widths)

                    Law.tenthOf curves
                    |> interval network "width of a tenth" 2 range "wider networks, or more pairs"
                    |> Some))
            claim
                "widthLaw"
                "dominant-mlp-fashion-mnist"
                "Wider networks have a smaller share of dominant singular vectors."
                "The rank correlation of the share at γ = 0.3 with the width is at most -0.8."
                (Judge.trend "width" [ "network" ] (fun _ -> true) dominant (Bounds.atMost -0.8))
            claim
                "widthLaw"
                "dominant-conv-fashion-mnist"
                "The share of dominant singular vectors predicts the barrier after weight matching."
                "Over widths, the rank correlation of the share with the loss's excess at λ = 1/2 is at least 0.8."
                (fun report ->
                    [
                        for network, own in Subject.ofReport report |> List.groupBy _.Key("network") do
                            let cells =
                                [
                                    for seeds, rows in own |> List.groupBy _.Key("seeds") ->
                                        Map [
                                            for width, at in rows |> List.groupBy _.Key("width") do
                                                let after = at |> List.filter _.Aligned

                                                match mean dominant at, mean Quantity.midpointLoss after with
                                                | Some share, Some excess -> width, (share, excess)
                                                | _ -> ()
                                        ]
                                ]

                            let widths = cells |> List.collect (Map.keys >> List.ofSeq) |> List.distinct
                            let whole = cells |> List.filter (fun row -> row.Count = widths.Length)

                            let correlation (rows: Map<string, float * float> list) =
                                Interval.rankCorrelation [
                                    for width in widths ->
                                        rows |> List.averageBy (fun row -> fst row[width]),
                                        rows |> List.averageBy (fun row -> snd row[width])
                                ]

                            if widths.Length >= Judge.leastValues && not whole.IsEmpty then
                                let found = Interval.bootstrap correlation whole

                                {
                                    Where = network
                                    Measured =
                                        $"rank correlation: {Interval.show 2 found}; {widths.Length} widths, n = {found.Count}"
                                    Finding = Judge.finding (Bounds.atLeast 0.8) (fun () -> "more pairs") found
                                }
                    ])
        ]

    /// All of them, in the order of the questions.
    let all: Claim list = dependence @ several @ mechanism @ width @ LanguageClaims.all

    /// Those of a scale: all; what is found of small networks is found of those, but for what was published of a larger one.
    let at (size: Size) : Claim list =
        [
            for claim in all ->
                if size = Smoke && claim.Experiment = "publishedRow" then
                    Claim.undecidable "the published network: --scale laptop or paper" claim
                else
                    claim
        ]
