namespace LmcDsl

open System.Collections.Generic
open System.Threading

/// What makes the steps of plans, somewhere, into a store: worker processes on this machine, or a cluster. What it left undone the runner
/// does itself.
type IEngine =

    /// Has everything made that plans need, but for the reports. Gives the steps that failed, each with a line that says why.
    /// Raises `LmcException` where the engine is not to be had, `OperationCanceledException` when cancelled.
    abstract Make:
        plans: Plan<Report> list * tell: (RunEvent -> unit) * cancel: CancellationToken -> (string * string) list

/// What engines ask of plans.
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

    /// The steps that must be done for a store to hold what plans need, but for their reports: what is not stored, and what that needs.
    let missing (store: Store) (roots: Node list) : Node list =
        let seen = HashSet<string>()
        let found = List<Node>()

        let rec visit (node: Node) =
            if seen.Add node.Key && not (store.Contains node.Key) then
                List.iter visit node.Inputs
                found.Add node

        List.iter visit roots
        found |> Seq.filter (fun node -> node.Op <> "report") |> List.ofSeq

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
