namespace LmcDsl.Beyond

open LmcDsl

/// What sentences on measurements are made of.
module Sentence =

    /// A sentence on nature, the rule that decides it, and where: the experiment, its figure, what is looked at.
    let claim experiment figure sentence rule judge : Claim =
        {
            Sentence = sentence
            Rule = rule
            Kind = OfNature
            Experiment = experiment
            Figure = Some figure
            Judge = judge
        }

    /// Whether a subject was aligned by a search.
    let by search (s: Subject) = s.Key "search" = search

    /// The mean of a quantity over the subjects that have it.
    let mean (quantity: Quantity) (subjects: Subject list) : float option =
        match subjects |> List.choose quantity.Of with
        | [] -> None
        | values -> Some(List.average values)

    /// Evidence of numbers, none where there are no numbers.
    let evidence (range: Bounds) where words digits (values: float list) : Evidence list =
        if values.IsEmpty then [] else [ Judge.values range where words digits values ]

    /// A quantity of one search less a share of another's, for the same models, of the aligned subjects that are kept.
    let less keep (search: string) (share: float) (other: string) (quantity: Quantity) (report: Report) : float list =
        let of' search =
            Subject.ofReport report
            |> List.filter (fun s -> s.Aligned && keep s && by search s)
            |> Judge.byMeasurement quantity

        let own, theirs = of' search, of' other

        [
            for KeyValue(key, x) in own do
                match theirs.TryFind key with
                | Some y -> x - share * y
                | None -> ()
        ]

    /// Evidence of the rank correlation of points, each of one of `what`, by the range that it must lie in; none of too few points.
    let ranked (range: Bounds) (what: string) (points: (float * float) list) : Evidence list =
        if points.Length < Judge.leastValues then
            []
        else
            let found = Interval.bootstrap Interval.rankCorrelation points

            [
                {
                    Where = $"{points.Length} {what}"
                    Measured = $"rank correlation: {Interval.show 2 found}"
                    Finding = Judge.finding range (fun () -> "more " + what.Replace(" and ", " or ")) found
                }
            ]
