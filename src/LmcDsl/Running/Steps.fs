namespace LmcDsl

open System.Collections.Generic
open LmcDsl.Core.Runtime

/// What runners and engines ask of plans.
[<RequireQualifiedAccess>]
module internal Steps =

    /// Whether a step takes so long that it is worth a place of its own.
    let isLong (node: Node) : bool = Op.isLong node.Op

    /// Raises `LmcException` where a plan has two operations of one name and version whose code differs: their values would be taken for
    /// each other's.
    let requireOneMeaning (steps: Node list) : unit =
        for (name, version), codes in steps |> List.groupBy (fun node -> node.Op.Name, node.Op.Version) do
            if codes |> List.distinctBy _.Op.Code |> List.length > 1 then
                raise (
                    LmcException
                        $"operation '{name}' of version {version}: expected one of that name, found two with different code; give one of them another name"
                )

    /// The steps that must be done for a store to hold the values of some, in order: what is not stored, and what that needs.
    let missing (store: Store) (roots: Node list) : Node list =
        let seen = HashSet<string>()
        let found = List<Node>()

        let rec visit (node: Node) =
            if seen.Add node.Key && not (store.Contains node.Key) then
                List.iter visit node.Inputs
                found.Add node

        List.iter visit roots
        List.ofSeq found

    // An answer about a step that follows from those about its inputs; asked of many steps, each is looked at once.
    let private byInputs (answerOf: (Node -> 'a) -> Node -> 'a) : Node -> 'a =
        let known = Dictionary<string, 'a>()

        let rec ask (node: Node) =
            match known.TryGetValue node.Key with
            | true, answer -> answer
            | _ ->
                let answer = answerOf ask node
                known[node.Key] <- answer
                answer

        ask

    /// Whether a step, or one that it needs, is among these keys.
    let needing (keys: HashSet<string>) : Node -> bool =
        byInputs (fun needs node -> keys.Contains node.Key || List.exists needs node.Inputs)

    /// The threads of the first training that a step needs, itself among these. Threads change rounding, and a value must follow from its
    /// key, so they are those of every step downstream; `otherwise` is for steps that need no training.
    let threads (otherwise: int) : Node -> int =
        let ofTraining =
            byInputs (fun ofInput node ->
                node.Args.TryItem "threads"
                |> Option.map _.Int
                |> Option.orElseWith (fun () -> List.tryPick ofInput node.Inputs))

        ofTraining >> Option.defaultValue otherwise

    /// Finds steps of plans by the keys that an option of the command line gives.
    /// Raises `LmcException` where there is none of a key.
    let finder (option: string) (plans: Plan<Report> list) : string -> Node =
        let byKey = dict [ for node in plans |> List.map Plan.node |> Plan.steps -> node.Key, node ]

        fun key ->
            match byKey.TryGetValue key with
            | true, node -> node
            | _ -> raise (LmcException $"{option}: expected a step of the plan, found no {key}")
