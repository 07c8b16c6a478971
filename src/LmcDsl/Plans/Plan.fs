namespace LmcDsl

open System.Security.Cryptography
open System.Text

/// Arguments of a step: whatever changes its value, and the data set that they name.
type Args =
    {
        /// Whatever changes the value, apart from inputs and operation.
        Json: Json
        /// The data set to read, where there is one.
        Data: DataSet option
    }

/// One step of a plan: an operation, its arguments, and the steps whose values it takes. A description; nothing runs.
[<CustomEquality; NoComparison>]
type Node =
    {
        /// What makes the value: whoever has the plan has the operations.
        Op: Op
        /// Whatever changes the value.
        Args: Json
        /// The data set that the arguments name, where they do.
        Data: DataSet option
        /// The steps whose values it takes, in order.
        Inputs: Node list
        /// SHA-256 of operation, version, arguments and inputs, in hexadecimal: the address of the value.
        Key: string
        /// What people read. Not part of the key.
        Title: string
    }

    override this.Equals other =
        match other with
        | :? Node as node -> node.Key = this.Key
        | _ -> false

    override this.GetHashCode() = this.Key.GetHashCode()

/// Making arguments.
[<RequireQualifiedAccess>]
module Args =

    /// No arguments.
    let none = { Json = Json.Object []; Data = None }

    /// Arguments without a data set.
    let ofFields (fields: (string * Json) list) = { Json = Json.Object fields; Data = None }

/// A description of a value of type 'a: how it comes about, not the value itself. 'a is only there for the compiler.
type Plan<'a> = Plan of Node

/// A trained, permuted or merged model.
type Model = interface end

/// What a search found: permutations, and how it ended.
type Alignment = interface end

/// Making and showing plans.
[<RequireQualifiedAccess>]
module Plan =

    /// The step behind a plan.
    let node (Plan node: Plan<'a>) : Node = node

    /// Describes a step. `args` holds everything that changes the value, apart from the inputs.
    let make (op: Op) (title: string) (args: Args) (inputs: Node list) : Plan<'a> =

        let identity =
            Json.Object [
                "op", Json.Text op.Name
                "version", Json.int (int64 op.Version)
                if op.Captured <> "" then
                    "captured", Json.Text op.Captured
                "args", args.Json
                "inputs", Json.texts (inputs |> List.map _.Key)
            ]

        let hash = SHA256.HashData(Encoding.UTF8.GetBytes(Json.text identity))

        Plan
            {
                Op = op
                Args = args.Json
                Data = args.Data
                Inputs = inputs
                Key = System.Convert.ToHexStringLower hash
                Title = title
            }

    /// The step of an operation without arguments on another step alone: what that one may keep beside its own value.
    let beside (op: Op) (node: Node) : Node =
        let (Plan found): Plan<Model> = make op $"{op.Name} of {node.Title}" Args.none [ node ]
        found

    /// Every step of some plans once, each after those it takes values from.
    let steps (roots: Node list) : Node list =
        let seen = System.Collections.Generic.HashSet<string>()
        let found = ResizeArray<Node>()

        let rec visit node =
            if seen.Add node.Key then
                List.iter visit node.Inputs
                found.Add node

        List.iter visit roots
        List.ofSeq found

    /// Plans as numbered lines: each step once, what `note` says of it, and the numbers of the steps it takes values from.
    let lines (note: Node -> string) (roots: Node list) : string list =
        let all = steps roots
        let number = dict [ for k, node in List.indexed all -> node.Key, k + 1 ]
        let width = all |> List.map _.Title.Length |> List.fold max 0

        [
            for node in all ->
                let from = node.Inputs |> List.map (fun input -> string number[input.Key])
                let source = if from.IsEmpty then "" else " ← " + String.concat ", " from
                $"{number[node.Key], 4}  {node.Title.PadRight width}  {note node}{source}".TrimEnd()
        ]

    /// A plan as text, for reading and for tests.
    let show (Plan root: Plan<'a>) : string = lines (fun _ -> "") [ root ] |> String.concat "\n"

/// Reports as steps: put together of what other steps measure.
[<RequireQualifiedAccess>]
module internal ReportStep =

    let private run (context: OpContext) =
        let rows = List.map2 Report.row context.Args["rows"].Items (Value.documents context)
        Document(Report.toJson { Rows = rows })

    /// The operation's name.
    [<Literal>]
    let name = "report"

    let private op = Op.make name 2 0.5 run

    /// Whether a step puts a report together.
    let is (node: Node) : bool = node.Op = op

    /// A plan of a report: what each row is about (its fields but for the value) and the step that measures it.
    let plan (title: string) (rows: (Json * Node) list) : Plan<Report> =
        Plan.make op title (Args.ofFields [ "rows", Json.Array(List.map fst rows) ]) (List.map snd rows)

    /// What a plan of a report is made of, row by row; a plan of anything else has none.
    let rows (report: Plan<Report>) : (Json * Node) list =
        let node = Plan.node report
        if is node then List.zip node.Args["rows"].Items node.Inputs else []

    /// The operations that measure the rows of reports, in the order in which they come.
    let measures (reports: Plan<Report> list) : Op list =
        reports |> List.collect (rows >> List.map (snd >> _.Op)) |> List.distinct
