namespace LmcDsl

open System
open System.Collections.Generic
open System.Diagnostics

/// Guesses how long a run still takes, from how long steps of the same operation took before in it.
type Estimate() =

    // Trainings of one recipe take alike, those of two do not.
    let kind (node: Node) = if isTraining node then node.Title.Split(", seed").[0] else node.Op.Name

    let finished = Dictionary<string, float * int>()
    let running = Dictionary<string, Node * Stopwatch>()
    let shares = Dictionary<string, float>()
    // By kind, so that a plan of many steps costs no more at each event than one of few.
    let waiting = Dictionary<string, HashSet<string>>()
    let ops = Dictionary<string, Op>()
    let mutable spent = 0.0

    let elapsed (clock: Stopwatch) = clock.Elapsed.TotalSeconds

    // What a step that is under way will take in all, where it has said enough to tell.
    let expected (node: Node, clock: Stopwatch) =
        match shares.TryGetValue node.Key with
        | true, share when share > 0.02 -> Some(elapsed clock / share)
        | _ -> None

    let perStep (kindOf: string) =
        match finished.TryGetValue kindOf with
        | true, (total, count) -> total / float count
        | _ ->
            running.Values
            |> Seq.filter (fun (node, _) -> kind node = kindOf)
            |> Seq.tryPick expected
            |> Option.defaultValue ops[kindOf].Seconds

    let left (node: Node, clock: Stopwatch) =
        max 0.0 (defaultArg (expected (node, clock)) (perStep (kind node)) - elapsed clock)

    let await (node: Node) =
        match waiting.TryGetValue(kind node) with
        | true, keys -> keys.Add node.Key |> ignore
        | _ -> waiting[kind node] <- HashSet [ node.Key ]

    let forget (node: Node) =
        ops[kind node] <- node.Op

        match waiting.TryGetValue(kind node) with
        | true, keys -> keys.Remove node.Key |> ignore
        | _ -> ()

        running.Remove node.Key |> ignore
        shares.Remove node.Key |> ignore

    /// Takes an event of the runner into account.
    member _.Note(event: RunEvent) =
        match event with
        | Planned(toDo, _) ->
            waiting.Clear()

            for node in toDo do
                ops[kind node] <- node.Op
                await node
        | Started node ->
            forget node
            running[node.Key] <- (node, Stopwatch.StartNew())
        | Advanced(node, progress) -> shares[node.Key] <- progress.Share
        | Finished(node, seconds) ->
            forget node
            spent <- spent + seconds

            if seconds > 0.0 then
                let total, count =
                    match finished.TryGetValue(kind node) with
                    | true, known -> known
                    | _ -> 0.0, 0

                finished[kind node] <- (total + seconds, count + 1)
        | Waiting _
        | Warned _ -> ()

    /// The steps that are under way, each with the share of it that is done.
    member _.Running: (Node * float) list =
        [
            for node, _ in running.Values ->
                match shares.TryGetValue node.Key with
                | true, share -> node, share
                | _ -> node, 0.0
        ]

    /// Time left, roughly: what all steps still take, side by side as now.
    member _.Left: TimeSpan =
        let seconds =
            Seq.sumBy left running.Values
            + Seq.sumBy (fun (KeyValue(kindOf, keys: HashSet<string>)) -> float keys.Count * perStep kindOf) waiting

        TimeSpan.FromSeconds(seconds / float (max 1 running.Count))

    /// Share of the run that is done, 0 to 1.
    member this.Share: float =
        let now = running.Values |> Seq.sumBy (snd >> elapsed)
        let total = spent + now + this.Left.TotalSeconds * float (max 1 running.Count)
        if total <= 0.0 then 1.0 else (spent + now) / total
