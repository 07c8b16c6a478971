namespace LmcDsl

open System
open LmcDsl.Core.Architectures
open LmcDsl.Core.Matching
open LmcDsl.Core.Permutations
open LmcDsl.Core.Runtime

/// A search for the permutations that bring one model into another's basin.
type Search =
    {
        /// What tables call it.
        Name: string
        /// Its word on the command line.
        Word: string
        /// What runs it.
        Op: Op
        /// Titles of its steps, from the words of the pair.
        Title: string -> string
        /// Its options, as the operation reads them.
        Options: Json
        /// Whether it reads training examples.
        ReadsTraining: bool
        /// How many of them it is given, from the first on; all where this is not said.
        Images: int option
        /// The search whose answer it begins at, where there is one.
        Start: Search option
        /// Whether its answer depends on where it begins.
        TakesStart: bool
        /// Whether its answer is more than permutations: then it is applied in the reference's way of writing, and is no start for others.
        Turns: bool
    }

/// A search for permutations of several models at once, whose maps between any two models compose without error.
type JointSearch =
    {
        /// What tables call it.
        Name: string
        /// What runs it.
        Op: Op
        /// Titles of its steps, from the number of models.
        Title: int -> string
        /// Its options, as the operation reads them.
        Options: Json
        /// Whether its answer is more than permutations: then it is applied in the first model's way of writing.
        Turns: bool
    }

/// Defining searches.
[<RequireQualifiedAccess>]
module Search =

    // What the search begins at, where the plan says so.
    let private start context (model: ParameterSet) : PermutationSet | null =
        match Value.documents context with
        | found :: _ -> Alignments.permutations model.Network None found
        | [] -> null

    /// Tells passes and objective, as descents do.
    let passes (context: OpContext) (sweeps: int) (objective: float) : unit =
        Take.tell context $"pass {sweeps}, objective {Number.fixedPoint 2 objective}" 0.0

    /// Tells the share done and the least training loss, as searches on the loss do.
    let leastLoss (context: OpContext) (share: float) (least: float) : unit =
        Take.tellValue context $"least training loss {Number.fixedPoint 4 least}" least share

    /// The operation of a search: name, version, about how many seconds it takes, and what it does with its options (a record of the core
    /// or of a script), models a and b, and where to begin. Whatever changes the answer is in its options.
    let op<'options when 'options: not null and 'options: not struct>
        (name: string)
        (version: int)
        (seconds: float)
        (run: OpContext -> 'options -> ParameterSet -> ParameterSet -> PermutationSet | null -> SearchResult)
        : Op =
        let work context =
            let a, b = Take.pair context
            let options = Json.toValue<'options> context.Args["options"]
            run context options a b (start context b) |> Alignments.ofPair context

        Op.make name version seconds work |> Op.written run

    /// The same on training examples: run on copies of the models on the device that the population computes on.
    let opOnTraining<'options when 'options: not null and 'options: not struct> name version seconds run : Op =
        let onDevice (context: OpContext) (options: 'options) (_: ParameterSet) (_: ParameterSet) start : SearchResult =
            Take.pairOnDevice context (fun a b -> run context options a b start)

        op<'options> name version seconds onDevice |> Op.written run

    /// A search: what tables call it, its operation, the beginning of its titles before the words of the pair, and its options.
    let make (name: string) (op: Op) (title: string) (options: 'options) : Search =
        {
            Name = name
            Word = name.ToLowerInvariant().Replace(' ', '-')
            Op = op
            Title = fun pair -> $"{title} {pair}"
            Options = Json.ofValue options
            ReadsTraining = false
            Images = None
            Start = None
            TakesStart = true
            Turns = false
        }

    /// The search, given training examples of the population's data.
    let onTraining (search: Search) : Search = { search with ReadsTraining = true }

    /// The search, whose answer does not depend on where it begins.
    let withoutStart (search: Search) : Search = { search with TakesStart = false }

    /// The search, whose answer has rotations beside permutations. It begins at nothing.
    let turning (search: Search) : Search = { search with TakesStart = false; Turns = true }

    /// The search with one of its options changed. Raises `LmcException` where it has none of that name.
    let withOption (option: string) (value: Json) (search: Search) : Search =
        match search.Options with
        | Json.Object fields when fields |> List.exists (fst >> (=) option) ->
            { search with
                Options = Json.Object [ for name, old in fields -> name, (if name = option then value else old) ]
            }
        | Json.Object fields ->
            let known = String.Join(", ", List.map fst fields)
            raise (LmcException $"{search.Word}: expected one of its options {known}, found '{option}'")
        | _ -> raise (LmcException $"{search.Word}: has no options, found '{option}'")

    /// What tables call a search with where it begins.
    let rec title (search: Search) : string =
        match search.Start with
        | Some start -> $"{search.Name} from {title start}"
        | None -> search.Name

    /// The step that searches for the permutations of one model towards another, after what it begins at.
    let rec internal plan
        (p: Population)
        (search: Search)
        (reference: Plan<Model>)
        (other: Plan<Model>)
        words
        : Plan<Alignment> =
        let options = [ "options", search.Options ]

        let seen =
            match search.Images with
            | Some images -> { p with Data = DataSet.part images 1 p.Data }
            | None -> p

        let start =
            match search.Start with
            | Some _ when not search.TakesStart ->
                raise (
                    LmcException $"startingFrom: {search.Name} has no start, since its answer does not depend on one"
                )
            | Some start when start.Turns ->
                raise (
                    LmcException
                        $"startingFrom: {title start} finds rotations, and {search.Name} begins at permutations. Write align {start.Name} >> align {search.Name}, which searches on from the rotated models"
                )
            | Some start -> [ Plan.node (plan p start reference other words) ]
            | None -> []

        Plan.make
            search.Op
            (search.Title words)
            (if search.ReadsTraining then
                 Population.onData "train" options seen
             else
                 Args.ofFields options)
            ([ Plan.node reference; Plan.node other ] @ start)

/// Defining searches of several models at once.
[<RequireQualifiedAccess>]
module JointSearch =

    /// The operation of a search: name, version, about how many seconds it takes, and what it does with its options and the models; it
    /// tells passes and objective.
    let op<'options when 'options: not null and 'options: not struct>
        (name: string)
        (version: int)
        (seconds: float)
        (run: 'options -> ParameterSet[] -> Action<int, float> -> JointResult)
        : Op =
        let work (context: OpContext) =
            let options = Json.toValue<'options> context.Args["options"]

            run options (List.toArray (Value.models context)) (Action<_, _>(Search.passes context))
            |> Alignments.ofSeveral context

        Op.make name version seconds work |> Op.written run

    /// A search: what tables call it, its operation, its titles from the number of models, and its options.
    let make (name: string) (op: Op) (title: int -> string) (options: 'options) : JointSearch =
        {
            Name = name
            Op = op
            Title = title
            Options = Json.ofValue options
            Turns = false
        }

    /// The search, whose answer has rotations beside permutations.
    let turning (search: JointSearch) : JointSearch = { search with Turns = true }

/// The words of a script on searches.
[<AutoOpen>]
module SearchWords =

    /// A search that is given so many training examples only, the first ones: `STE |> givenImages 1000`. Searches that read none are as
    /// they were. Raises `LmcException` for fewer than 1.
    let rec givenImages (images: int) (search: Search) : Search =
        if images < 1 then
            raise (LmcException $"givenImages: expected 1 or more, found {images}")

        { search with
            Images = if search.ReadsTraining then Some images else None
            Start = search.Start |> Option.map (givenImages images)
        }

    /// A search that begins at what another one found: `STE |> startingFrom AM`.
    let rec startingFrom (start: Search) (search: Search) : Search =
        { search with
            Start =
                match search.Start with
                | Some middle -> Some(startingFrom start middle)
                | None -> Some start
        }
