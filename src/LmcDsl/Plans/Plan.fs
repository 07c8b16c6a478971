namespace LmcDsl

open System.Security.Cryptography
open System.Text

/// One step of a plan: an operation, its arguments, and the steps whose values it takes. A description; nothing runs.
type Node =
    {
        /// Name of the operation, for example `train`.
        Op: string
        /// Version of the operation's meaning.
        Version: int
        /// Whatever changes the value.
        Args: Json
        /// The steps whose values it takes, in order.
        Inputs: Node list
        /// SHA-256 of the four above, in hexadecimal: the address of the value.
        Key: string
        /// What people read. Not part of the key.
        Title: string
    }

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
    let make (op: string, version: int) (title: string) (args: Json) (inputs: Node list) : Plan<'a> =

        let identity =
            Json.Object [
                "op", Json.Text op
                "version", Json.int (int64 version)
                "args", args
                "inputs", Json.texts (inputs |> List.map _.Key)
            ]

        let hash = SHA256.HashData(Encoding.UTF8.GetBytes(Json.text identity))

        Plan
            {
                Op = op
                Version = version
                Args = args
                Inputs = inputs
                Key = System.Convert.ToHexStringLower hash
                Title = title
            }

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
