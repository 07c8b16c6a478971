namespace LmcDsl



/// Rules that turn a report's numbers into evidence, each number with its 95 % confidence interval. One measurement is one pair of models
/// (or one model, or the mean of some) of one list of seeds: layers, further seeds of a search and both parents of a mean are averaged
/// within it.
[<RequireQualifiedAccess>]
module Judge =

    let private replicate (subject: Subject) =
        let models =
            match subject.Models with
            | "mean" :: _ -> [ "mean" ]
            | models -> models

        models, subject.Key "seeds"

    // A quantity by measurement.
    let private measured (quantity: Quantity) (subjects: Subject list) =
        subjects
        |> List.groupBy replicate
        |> List.choose (fun (key, own) ->
            match own |> List.choose quantity.Of with
            | [] -> None
            | values -> Some(key, List.average values))

    let private grouped (keys: string list) keep report =
        Subject.ofReport report
        |> List.filter keep
        |> List.groupBy (fun s -> keys |> List.map s.Key |> String.concat ", ")

    let private digits (quantity: Quantity) = max 2 quantity.Digits

    let private show (quantity: Quantity) (values: float list) =
        $"{quantity.Heading}: {Interval.show (digits quantity) (Interval.ofValues values)}"

    // What deciding would take, where an interval lies across an end of the range.
    let private takes (range: Bounds) (values: float list) =
        if values.Length < 2 then
            "2 measurements or more, for an interval"
        else
            match Interval.needed range values with
            | Some n -> $"about {n} measurements of this spread"
            | None -> "more than 1,000 measurements of this spread"

    /// What an interval says, by the range that a rule asks for.
    let finding (range: Bounds) (ifAcross: unit -> string) (interval: Interval) : Finding =
        match Interval.place range interval with
        | Within -> AsClaimed
        | Without -> NotAsClaimed
        | Across -> Undecided(ifAcross ())

    let private ofValues range values = Interval.ofValues values |> finding range (fun () -> takes range values)

    // Two findings of one place as one: both must be as claimed.
    let private also one other =
        match one, other with
        | NotAsClaimed, _
        | _, NotAsClaimed -> NotAsClaimed
        | Undecided takes, _
        | _, Undecided takes -> Undecided takes
        | _ -> AsClaimed

    // A difference's mean in units of its deviation (Cohen's d of paired measurements).
    let private effect (values: float list) =
        let summary = Statistics.summarise values

        if summary.Count < 2 || summary.Deviation = 0.0 then
            ""
        else
            $", effect size {Number.fixedPoint 1 (summary.Mean / summary.Deviation)}"

    /// Evidence of numbers that were made in another way, one for each measurement: where, what they are called, digits to show.
    let values (range: Bounds) (where: string) (words: string) (digits: int) (values: float list) : Evidence =
        {
            Where = where
            Measured = $"{words}: {Interval.show digits (Interval.ofValues values)}; n = {values.Length}"
            Finding = ofValues range values
        }

    /// A quantity of some subjects, measurement by measurement.
    let byMeasurement (quantity: Quantity) (subjects: Subject list) : Map<string list * string, float> =
        measured quantity subjects |> Map.ofList

    /// Judges a quantity's mean in each group of subjects by the range that it must lie in.
    let mean (keys: string list) keep (quantity: Quantity) (range: Bounds) (report: Report) : Evidence list =
        [
            for where, subjects in grouped keys keep report do
                match measured quantity subjects |> List.map snd with
                | [] -> ()
                | values ->
                    {
                        Where = where
                        Measured = $"{show quantity values}; n = {values.Length}"
                        Finding = ofValues range values
                    }
        ]

    /// Judges two quantities' means in each group of subjects: both must lie in the range.
    let both keys keep (one: Quantity) (other: Quantity) (range: Bounds) (report: Report) : Evidence list =
        [
            for where, subjects in grouped keys keep report do
                match measured one subjects |> List.map snd, measured other subjects |> List.map snd with
                | [], _
                | _, [] -> ()
                | x, y ->
                    {
                        Where = where
                        Measured = $"{show one x}; {show other y}; n = {x.Length}"
                        Finding = also (ofValues range x) (ofValues range y)
                    }
        ]

    let private paired one other subjects =
        let theirs = measured other subjects |> Map.ofList

        measured one subjects |> List.choose (fun (key, x) -> theirs.TryFind key |> Option.map (fun y -> x, y))

    /// Judges what is made of two quantities of the same models, called `words`, by the range that its mean must lie in.
    let combined
        keys
        keep
        (one: Quantity)
        (other: Quantity)
        (words: string)
        (combine: float -> float -> float)
        (range: Bounds)
        (report: Report)
        : Evidence list =
        [
            for where, subjects in grouped keys keep report do
                match paired one other subjects with
                | [] -> ()
                | pairs ->
                    let made = pairs |> List.map (fun (x, y) -> combine x y)
                    let of' = Interval.show (digits one) (Interval.ofValues made)

                    let p =
                        Statistics.pairedT pairs
                        |> Option.map (fun p -> $", paired t-test p = {Number.fixedPoint 3 p}")
                        |> Option.defaultValue ""

                    {
                        Where = where
                        Measured =
                            $"{show one (List.map fst pairs)}; {show other (List.map snd pairs)}; {words}: {of'}; n = {pairs.Length}{p}"
                        Finding = ofValues range made
                    }
        ]

    /// Judges the difference of searches' numbers from a reference's, for the same models, in each group of subjects. The reference is the
    /// first of some that was measured; the others are shown beside.
    let against
        (keys: string list)
        keep
        (references: string list)
        (searches: string list)
        (quantity: Quantity)
        (range: Bounds)
        (report: Report)
        : Evidence list =
        [
            for where, subjects in grouped keys keep report do
                let of' search =
                    subjects |> List.filter (fun s -> s.Key "search" = search) |> measured quantity |> Map.ofList

                let judged = references |> List.tryFind (fun reference -> not (of' reference).IsEmpty)

                for search in searches do
                    for reference in references do
                        let own, other = of' search, of' reference

                        let pairs =
                            [
                                for KeyValue(key, x) in own do
                                    match other.TryFind key with
                                    | Some y -> x, y
                                    | None -> ()
                            ]

                        if not pairs.IsEmpty then
                            let apart = pairs |> List.map (fun (x, y) -> x - y)
                            let difference = Interval.show (digits quantity) (Interval.ofValues apart)
                            let theirs = Interval.show (digits quantity) (Interval.ofValues (List.map snd pairs))

                            {
                                Where = $"{where}, {search}"
                                Measured =
                                    $"{show quantity (List.map fst pairs)}, of {reference}: {theirs}; difference: {difference}{effect apart}; n = {pairs.Length}"
                                Finding = if judged = Some reference then ofValues range apart else Beside
                            }
        ]

    let private notFinite = "numbers that are finite in each place"

    /// Values that a trend must have to be one.
    let leastValues = 5

    // A quantity's mean by the numeric key, over some measurements: those that have every value.
    let private curve (places: float list) (rows: Map<float, float> list) =
        [ for place in places -> place, rows |> List.averageBy (fun row -> row[place]) ]

    /// Judges Spearman's rank correlation of a quantity's mean with a numeric key, in each group of subjects, by the range that it must lie
    /// in; its interval is by bootstrap over measurements. A trend has five values or more.
    let trend (along: string) keys keep (quantity: Quantity) (range: Bounds) (report: Report) : Evidence list =
        [
            for where, subjects in grouped keys keep report do
                let cells =
                    subjects
                    |> List.groupBy (fun s -> Number.tryParse (s.Key along)) // of what has no place along it, nothing
                    |> List.collect (fun (at, own) ->
                        match at with
                        | None -> []
                        | Some at -> measured quantity own |> List.map (fun (key, value) -> key, (at, value)))

                let places = cells |> List.map (snd >> fst) |> List.distinct |> List.sort

                let rows =
                    cells
                    |> List.groupBy fst
                    |> List.map (snd >> List.map snd >> Map.ofList)
                    |> List.filter (fun row -> row.Count = places.Length)

                if places.Length >= 2 && not rows.IsEmpty then
                    let correlation = rows |> Interval.bootstrap (curve places >> Interval.rankCorrelation)
                    let change = rows |> List.map (fun row -> row[List.last places] - row[places.Head])
                    let list number = List.map number >> String.concat ", "
                    let means = curve places rows |> list (snd >> Number.fixedPoint (digits quantity))

                    let judged =
                        if places.Length < leastValues then
                            Undecided $"{leastValues} values or more of {along}; measured are {places.Length}"
                        elif cells |> List.exists (fun (_, (_, value)) -> not (System.Double.IsFinite value)) then
                            Undecided notFinite
                        else
                            correlation
                            |> finding range (fun () ->
                                if rows.Length < 2 then
                                    "2 measurements or more of each value, for an interval"
                                else
                                    $"more than {rows.Length} measurements of each value")

                    {
                        Where = where
                        Measured =
                            $"{quantity.Heading}: {means} at {along} {list Number.shortest places}; rank correlation {Interval.show 2 correlation}; first to last {Interval.show (digits quantity) (Interval.ofValues change)}; n = {rows.Length}"
                        Finding = judged
                    }
        ]

    /// Judges the largest of a quantity's means over a key, in each group of subjects.
    let largest (along: string) keys keep (quantity: Quantity) (range: Bounds) (report: Report) : Evidence list =
        [
            for where, subjects in grouped keys keep report do
                let cells =
                    subjects
                    |> List.groupBy _.Key(along)
                    |> List.map (fun (at, own) -> at, measured quantity own |> List.map snd)
                    |> List.filter (fun (_, values) -> not values.IsEmpty)

                match cells with
                | [] -> ()
                | cells ->
                    let isFinite = List.collect snd >> List.forall System.Double.IsFinite
                    let at, values = cells |> List.maxBy (snd >> List.average)

                    {
                        Where = where
                        Measured = $"largest {show quantity values}, at {along} {at}; n = {values.Length}"
                        Finding = if isFinite cells then ofValues range values else Undecided notFinite
                    }
        ]

    /// Evidence of one rule where another one, the premise, is as claimed in the same place; elsewhere it is not decided.
    let given
        (premise: string)
        (asked: Report -> Evidence list)
        (judge: Report -> Evidence list)
        report
        : Evidence list =
        let premises = asked report

        [
            for e in judge report ->
                let own =
                    premises
                    |> List.tryFind (fun p ->
                        e.Where = p.Where || e.Where.StartsWith(p.Where + ", ", System.StringComparison.Ordinal))

                match own, e.Finding with
                | _, Beside
                | Some { Finding = AsClaimed }, _ -> e
                | Some p, _ -> { e with Finding = Undecided $"{premise}; here {p.Measured}" }
                | None, _ -> { e with Finding = Undecided $"{premise}, which was not measured" }
        ]

    /// Evidence whose places are judged only where asked so; the others are shown beside.
    let only (judged: Evidence -> bool) (judge: Report -> Evidence list) report : Evidence list =
        [ for e in judge report -> if judged e then e else { e with Finding = Beside } ]

    /// Evidence that counts against the claim only where nothing is lacking: what a place lacks for that.
    let unlessLacking (lacking: Evidence -> string option) (judge: Report -> Evidence list) report : Evidence list =
        [
            for e in judge report ->
                match e.Finding, lacking e with
                | NotAsClaimed, Some takes -> { e with Finding = Undecided takes }
                | _ -> e
        ]
