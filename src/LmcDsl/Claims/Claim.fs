namespace LmcDsl

open MathNet.Numerics.Statistics

/// What was measured of a claim in one place, and whether it is as claimed there.
type Evidence =
    {
        /// Where: a network, a search.
        Where: string
        /// The numbers.
        Measured: string
        /// Whether the claim's rule holds of them.
        Holds: bool
    }

/// A sentence of a paper that measurements can decide.
type Claim =
    {
        /// The sentence.
        Sentence: string
        /// The rule by which measurements decide it, in words.
        Rule: string
        /// Name of the experiment whose report decides it.
        Experiment: string
        /// Name of the experiment's figure that shows it, where one does.
        Figure: string option
        /// The rule itself.
        Judge: Report -> Evidence list
    }

/// What measurements say of a claim.
type Verdict =
    /// Its rule holds everywhere it was measured.
    | Holds
    /// Its rule holds somewhere.
    | HoldsInPart
    /// Its rule holds nowhere it was measured.
    | DoesNotHold
    /// There is no measurement.
    | NotMeasured

/// Making and judging claims.
[<RequireQualifiedAccess>]
module Claim =

    /// The verdict that pieces of evidence give.
    let verdict (evidence: Evidence list) : Verdict =
        match evidence |> List.filter _.Holds |> List.length with
        | _ when evidence.IsEmpty -> NotMeasured
        | 0 -> DoesNotHold
        | n when n = evidence.Length -> Holds
        | _ -> HoldsInPart

    /// A verdict in words.
    let word verdict =
        match verdict with
        | Holds -> "holds"
        | HoldsInPart -> "holds in part"
        | DoesNotHold -> "does not hold here"
        | NotMeasured -> "not measured"

    let private number = Number.fixedPoint

    let private show (quantity: Quantity) (summary: Summary) =
        let digits = max 2 quantity.Digits

        if summary.Count = 1 then
            number digits summary.Mean
        else
            $"{number digits summary.Mean} ± {number digits summary.Deviation}"

    let private grouped (keys: string list) keep report =
        Subject.ofReport report
        |> List.filter keep
        |> List.groupBy (fun s -> keys |> List.map s.Key |> String.concat ", ")

    let private summary (quantity: Quantity) (subjects: Subject list) =
        match subjects |> List.choose quantity.Of with
        | [] -> None
        | values -> Some(Statistics.summarise values)

    /// Judges a quantity's mean in each group of subjects.
    let mean (keys: string list) keep (quantity: Quantity) (rule: float -> bool) (report: Report) : Evidence list =
        [
            for where, subjects in grouped keys keep report do
                match summary quantity subjects with
                | Some s ->
                    {
                        Where = where
                        Measured = $"{quantity.Heading}: {show quantity s}"
                        Holds = rule s.Mean
                    }
                | None -> ()
        ]

    /// Judges two quantities' means in each group of subjects.
    let both
        (keys: string list)
        keep
        (one: Quantity)
        (other: Quantity)
        (rule: float -> float -> bool)
        report
        : Evidence list =
        [
            for where, subjects in grouped keys keep report do
                match summary one subjects, summary other subjects with
                | Some x, Some y ->
                    {
                        Where = where
                        Measured = $"{one.Heading}: {show one x}; {other.Heading}: {show other y}"
                        Holds = rule x.Mean y.Mean
                    }
                | _ -> ()
        ]

    /// Judges the paired t-test of two quantities in each group of subjects.
    let paired (keys: string list) keep (one: Quantity) (other: Quantity) (rule: float -> bool) report : Evidence list =
        [
            for where, subjects in grouped keys keep report do
                let pairs = subjects |> List.choose (fun s -> Option.map2 (fun x y -> x, y) (one.Of s) (other.Of s))

                match Statistics.pairedT pairs with
                | Some p ->
                    let x, y = Statistics.summarise (List.map fst pairs), Statistics.summarise (List.map snd pairs)

                    {
                        Where = where
                        Measured =
                            $"{one.Heading}: {show one x}; {other.Heading}: {show other y}; n = {pairs.Length}, p = {number 3 p}"
                        Holds = rule p
                    }
                | None -> ()
        ]

    /// Judges one search's mean against another's, in each group of subjects, for a quantity: `rule own reference`.
    let against
        (keys: string list)
        keep
        (reference: string)
        (searches: string list)
        (quantity: Quantity)
        rule
        report
        : Evidence list =
        [
            for where, subjects in grouped keys keep report do
                let of' search = subjects |> List.filter (fun s -> s.Key "search" = search) |> summary quantity

                for search in searches do
                    match of' search, of' reference with
                    | Some own, Some other ->
                        {
                            Where = $"{where}, {search}"
                            Measured = $"{quantity.Heading}: {show quantity own}, of {reference}: {show quantity other}"
                            Holds = rule own.Mean other.Mean
                        }
                    | _ -> ()
        ]

    /// Judges Spearman's rank correlation of a quantity's mean with a numeric key, in each group of subjects.
    let trend
        (along: string)
        (keys: string list)
        keep
        (quantity: Quantity)
        (rule: float -> bool)
        report
        : Evidence list =
        [
            for where, subjects in grouped keys keep report do
                let cells =
                    subjects
                    |> List.groupBy _.Key(along)
                    |> List.choose (fun (at, own) ->
                        summary quantity own |> Option.map (fun s -> Number.parse at, s.Mean))
                    |> List.sortBy fst

                if cells.Length >= 3 then
                    let correlation = Correlation.Spearman(List.map fst cells, List.map snd cells)
                    let values = cells |> List.map (snd >> number (max 2 quantity.Digits)) |> String.concat ", "
                    let places = cells |> List.map (fst >> Number.shortest) |> String.concat ", "

                    {
                        Where = where
                        Measured =
                            $"{quantity.Heading}: {values} at {along} {places}; rank correlation {number 2 correlation}"
                        Holds = rule correlation
                    }
        ]
