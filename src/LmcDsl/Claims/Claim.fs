namespace LmcDsl

/// What a measurement says of a claim.
type Finding =
    /// It is as claimed: the whole 95 % confidence interval is where the rule asks for it.
    | AsClaimed
    /// It is not: the whole interval is elsewhere.
    | NotAsClaimed
    /// It cannot be decided at this scale; what that would take.
    | Undecided of takes: string
    /// It is shown beside what is judged, and not judged itself.
    | Beside

/// What was measured of a claim in one place, and what it says there.
type Evidence =
    {
        /// Where: a network, a search.
        Where: string
        /// The numbers, with their intervals.
        Measured: string
        /// What they say by the claim's rule.
        Finding: Finding
    }

/// What kind of sentence a claim is.
type ClaimKind =
    /// Measurements can go either way.
    | OfNature
    /// A theorem, or what follows from definitions: measurements check the code that computes it.
    | OfCode

/// A sentence that measurements can decide.
type Claim =
    {
        /// The sentence.
        Sentence: string
        /// The rule by which measurements decide it, in words.
        Rule: string
        /// Whether it is a finding or a check of the code.
        Kind: ClaimKind
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
    /// Its rule holds wherever it could be decided, and somewhere it could not.
    | HoldsWhereDecided
    /// Its rule holds somewhere, and somewhere not.
    | HoldsInPart
    /// Its rule holds nowhere that it could be decided.
    | DoesNotHold
    /// It could be decided nowhere at this scale.
    | CannotBeDecided
    /// There is no measurement.
    | NotMeasured

/// Making and judging claims.
[<RequireQualifiedAccess>]
module Claim =

    /// The verdict that pieces of evidence give; those shown beside do not count.
    let verdict (evidence: Evidence list) : Verdict =
        let count test = evidence |> List.filter (fun e -> test e.Finding) |> List.length
        let yes, no, open' = count _.IsAsClaimed, count _.IsNotAsClaimed, count _.IsUndecided

        match yes, no, open' with
        | 0, 0, 0 -> NotMeasured
        | 0, 0, _ -> CannotBeDecided
        | 0, _, _ -> DoesNotHold
        | _, 0, 0 -> Holds
        | _, 0, _ -> HoldsWhereDecided
        | _ -> HoldsInPart

    /// A verdict in words.
    let word (verdict: Verdict) : string =
        match verdict with
        | Holds -> "holds"
        | HoldsWhereDecided -> "holds where decided"
        | HoldsInPart -> "holds in part"
        | DoesNotHold -> "does not hold here"
        | CannotBeDecided -> "cannot be decided at this scale"
        | NotMeasured -> "not measured"

    /// The verdict of a check of the code in words: there is nothing to find.
    let checkWord (verdict: Verdict) : string =
        match verdict with
        | Holds -> "passed"
        | NotMeasured -> "not measured"
        | _ -> "failed"

    /// A finding in words.
    let findingWord (finding: Finding) : string =
        match finding with
        | AsClaimed -> "yes"
        | NotAsClaimed -> "no"
        | Undecided takes -> $"undecided; takes {takes}"
        | Beside -> "shown beside"

    /// The claim, judged nowhere where a scale is too small for it: what deciding takes.
    let undecidable (takes: string) (claim: Claim) : Claim =
        let left e =
            match e.Finding with
            | Beside -> e
            | _ -> { e with Finding = Undecided takes }

        { claim with Judge = claim.Judge >> List.map left }
