namespace LmcDsl

open LmcDsl.Core.Runtime

/// Models that a metric looks at together.
type Look =
    {
        /// How rows name them: members' numbers, or `mean`.
        Models: string list
        /// Whether they are aligned.
        Aligned: bool
        /// How titles name them, for example `0 and 1, aligned`.
        Words: string
        /// The steps that give what the metric takes.
        Inputs: Node list
    }

/// What metrics look at.
[<RequireQualifiedAccess>]
module Looks =

    let private node (plan: Plan<Model>) = Plan.node plan

    let private pairIn (p: Population) aligned (i: int, j: int) =
        {
            Models = [ string i; string j ]
            Aligned = aligned
            Words = $"{i} and {j}, {Population.stateWord aligned}"
            Inputs = [ node (Population.memberOf p aligned i); node (Population.memberOf p aligned j) ]
        }

    /// Each pair of members, naive and aligned.
    let pairs (p: Population) : Look list =
        [
            for aligned in Population.states p do
                for pair in Population.pairs p do
                    pairIn p aligned pair
        ]

    /// Each pair of members in its last state only: aligned, where a stage has aligned them.
    let pairsAtEnd (p: Population) : Look list = [ for pair in Population.pairs p -> pairIn p p.Aligned pair ]

    /// Each pair of members, and the mean with each of them, naive and aligned.
    let pairsAndMean (p: Population) : Look list =
        let taken = Population.taken p

        [
            for aligned in Population.states p do
                for pair in Population.pairs p do
                    pairIn p aligned pair

                match Population.mergedOf p aligned with
                | Some merged when taken.Length > 1 ->
                    for i in taken do
                        {
                            Models = [ "mean"; string i ]
                            Aligned = aligned
                            Words = $"mean and {i}, {Population.stateWord aligned}"
                            Inputs = [ node merged; node (Population.memberOf p aligned i) ]
                        }
                | _ -> ()
        ]

    /// Each member as trained.
    let models (p: Population) : Look list =
        [
            for i in Population.taken p ->
                {
                    Models = [ string i ]
                    Aligned = false
                    Words = string i
                    Inputs = [ node (p.Trained i) ]
                }
        ]

    /// Each member as trained, and the mean, naive and aligned.
    let modelsAndMean (p: Population) : Look list =
        [
            yield! models p
            for aligned in Population.states p do
                match Population.mergedOf p aligned with
                | Some merged ->
                    {
                        Models = [ "mean" ]
                        Aligned = aligned
                        Words = $"mean, {Population.stateWord aligned}"
                        Inputs = [ node merged ]
                    }
                | None -> ()
        ]

    /// The first three members together, naive and aligned. Raises `LmcException` where there are fewer.
    let three (p: Population) : Look list =
        match Population.taken p with
        | first :: second :: third :: _ ->
            let three = [ first; second; third ]

            [
                for aligned in Population.states p ->
                    {
                        Models = List.map string three
                        Aligned = aligned
                        Words = Population.stateWord aligned
                        Inputs = three |> List.map (Population.memberOf p aligned >> node)
                    }
            ]
        | taken -> raise (LmcException $"expected 3 models (`mergeN 3` before it), found {taken.Length}")

/// Something to measure on a population: what computes it, what it looks at, and what is shown of it.
type Metric =
    {
        /// Its word on the command line.
        Word: string
        /// What computes it, with what tables and figures show of it.
        Op: Op
        /// Titles of its steps, from the words of what it looks at.
        Title: string -> string
        /// The arguments of its steps.
        Args: Population -> Args
        /// What it looks at.
        Looks: Population -> Look list
    }

/// Defining metrics.
[<RequireQualifiedAccess>]
module Metric =

    /// No arguments.
    let plain (_: Population) : Args = Args.none

    /// Test examples, and some arguments more.
    let onTest (fields: (string * Json) list) : Population -> Args = Population.onData "test" fields

    /// Training examples, and some arguments more.
    let onTraining (fields: (string * Json) list) : Population -> Args = Population.onData "train" fields

    /// A metric: what it looks at, the beginning of its titles, its arguments, the numbers that tables show, and the measurement.
    let on
        (looks: Population -> Look list)
        (title: string)
        (args: Population -> Args)
        (shows: Quantity list)
        (measure: Measure<'value>)
        : Metric =
        {
            Word = measure.Name
            Op = { measure.Op with Shows = fun _ -> shows }
            Title = fun words -> $"{title} {words}"
            Args = args
            Looks = looks
        }

    /// The metric under another word on the command line.
    let called (word: string) (metric: Metric) : Metric = { metric with Word = word }

    /// The metric with titles of another form.
    let titled (title: string -> string) (metric: Metric) : Metric = { metric with Title = title }

    /// The metric with figures: what is drawn of the report's rows.
    let drawing (draw: Report -> Figure list) (metric: Metric) : Metric =
        { metric with Op = { metric.Op with Draws = draw } }

    /// The metric with numbers that depend on what the report holds.
    let showing (shows: Report -> Quantity list) (metric: Metric) : Metric =
        { metric with Op = { metric.Op with Shows = shows } }

    /// The metric with about how long a step of it takes, in seconds: what estimates begin with.
    let lasting (seconds: float) (metric: Metric) : Metric = { metric with Op = { metric.Op with Seconds = seconds } }

    /// The metric with one of its arguments changed, where it has one of that name.
    let withArgument (name: string) (value: Json) (metric: Metric) : Metric =
        { metric with
            Args =
                fun population ->
                    let args = metric.Args population

                    match args.Json with
                    | Json.Object fields when fields |> List.exists (fst >> (=) name) ->
                        { args with
                            Json = Json.Object [ for key, old in fields -> key, (if key = name then value else old) ]
                        }
                    | _ -> args
        }

    /// The metric on the first so many training examples in place of all. Raises `LmcException`, when it is measured, for one that reads test
    /// examples.
    let onFirst (examples: int) (metric: Metric) : Metric =
        { metric with
            Args =
                fun population ->
                    let args = metric.Args { population with Data = DataSet.part examples 1 population.Data }

                    match args.Json.TryItem "split" with
                    | Some(Json.Text "test") ->
                        raise (
                            LmcException
                                $"Metric.onFirst {examples}: expected a metric on training examples (as BarrierOnTraining), found {metric.Word}, which reads test examples"
                        )
                    | _ -> args
        }

    /// Its steps on a population: what each row is of, and what measures it.
    let internal steps (population: Population) (metric: Metric) : (Look * Node) list =
        let looks =
            try
                metric.Looks population
            with :? LmcException as error ->
                raise (LmcException($"{metric.Word}: {error.Message}", error))

        [
            for look in looks ->
                let plan: Plan<Report> =
                    Plan.make metric.Op (metric.Title look.Words) (metric.Args population) look.Inputs

                look, Plan.node plan
        ]
