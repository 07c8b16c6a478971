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

    /// Every step once, each after those it takes values from.
    let steps (root: Node) : Node list =
        let seen = System.Collections.Generic.HashSet<string>()
        let found = ResizeArray<Node>()

        let rec visit node =
            if seen.Add node.Key then
                List.iter visit node.Inputs
                found.Add node

        visit root
        List.ofSeq found

    /// A plan as lines of text: each step under the one that takes its value, with what `note` says of it. A step that
    /// several take is written out once.
    let lines (note: Node -> string) (root: Node) : string list =
        let seen = System.Collections.Generic.HashSet<string>()

        let rec visit first rest node =
            let isNew = seen.Add node.Key
            let again = if isNew || node.Inputs.IsEmpty then "" else " (as above)"
            let line = first + node.Title + again + (if isNew then note node else "")

            let children =
                if not isNew then
                    []
                else
                    let last = node.Inputs.Length - 1

                    node.Inputs
                    |> List.mapi (fun k input ->
                        if k = last then
                            visit (rest + "└─ ") (rest + "   ") input
                        else
                            visit (rest + "├─ ") (rest + "│  ") input)
                    |> List.concat

            line :: children

        visit "" "" root

    /// A plan as text, for reading and for tests.
    let show (Plan root: Plan<'a>) : string =
        lines (fun _ -> "") root |> String.concat "\n"
