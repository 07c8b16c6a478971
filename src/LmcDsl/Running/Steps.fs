namespace LmcDsl

open System.Collections.Generic
open LmcDsl.Core.Runtime

/// What runners and engines ask of plans.
[<RequireQualifiedAccess>]
module internal Steps =

    /// Whether a step takes so long that it is worth a place of its own.
    let isLong (node: Node) : bool =
        match node.Op with
        | "train"
        | "barrier"
        | "trainingBarrier"
        | "taylor"
        | "landscape"
        | "straightThrough"
        | "sinkhornStraightThrough"
        | "sinkhornMatching" -> true
        | _ -> false

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

    /// Whether a step, or one that it needs, is among these keys; asked of many steps, each is looked at once.
    let needing (keys: HashSet<string>) : Node -> bool =
        let known = Dictionary<string, bool>()

        let rec needs (node: Node) =
            match known.TryGetValue node.Key with
            | true, answer -> answer
            | _ ->
                let answer = keys.Contains node.Key || List.exists needs node.Inputs
                known[node.Key] <- answer
                answer

        needs

    /// Finds steps of plans by the keys that an option of the command line gives.
    /// Raises `LmcException` where there is none of a key.
    let finder (option: string) (plans: Plan<Report> list) : string -> Node =
        let byKey = dict [ for node in plans |> List.map Plan.node |> Plan.steps -> node.Key, node ]

        fun key ->
            match byKey.TryGetValue key with
            | true, node -> node
            | _ -> raise (LmcException $"{option}: expected a step of the plan, found no {key}")
