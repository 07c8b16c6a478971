namespace LmcDsl

open System
open System.Collections.Generic
open System.Diagnostics

/// Guesses how long a run still takes, from how long steps of the same operation took before in it.
type Estimate() =

    let finished = Dictionary<string, float * int>()
    let running = Stopwatch()
    let mutable waiting: Node list = []
    let mutable current: (Node * float) option = None
    let mutable spent = 0.0

    // Trainings of one recipe take alike, those of two do not.
    let kind (node: Node) = if node.Op = "train" then node.Title.Split(", seed").[0] else node.Op

    // Before any step of an operation has ended: seconds of the quickstart on two cores.
    let prior op =
        match op with
        | "train" -> 40.0
        | "barrier" -> 3.5
        | _ -> 0.5

    let perStep (step: Node) =
        match finished.TryGetValue(kind step), current with
        | (true, (total, count)), _ -> total / float count
        | _, Some(node, share) when kind node = kind step && share > 0.02 -> running.Elapsed.TotalSeconds / share
        | _ -> prior step.Op

    let currentLeft () =
        match current with
        | Some(_, share) when share > 0.02 -> running.Elapsed.TotalSeconds * (1.0 - share) / share
        | Some(node, _) -> max 0.0 (perStep node - running.Elapsed.TotalSeconds)
        | None -> 0.0

    /// Takes an event of the runner into account.
    member _.Note(event: RunEvent) =
        match event with
        | Planned(toDo, _) -> waiting <- toDo
        | Started node ->
            waiting <- waiting |> List.filter (fun other -> other.Key <> node.Key)
            current <- Some(node, 0.0)
            running.Restart()
        | Advanced(node, progress) -> current <- Some(node, progress.Share)
        | Finished(node, seconds) ->
            waiting <- waiting |> List.filter (fun other -> other.Key <> node.Key)
            current <- None
            spent <- spent + seconds

            if seconds > 0.0 then
                let total, count =
                    match finished.TryGetValue(kind node) with
                    | true, known -> known
                    | _ -> 0.0, 0

                finished[kind node] <- (total + seconds, count + 1)
        | Waiting _
        | Warned _ -> ()

    /// Time left, roughly.
    member _.Left: TimeSpan = TimeSpan.FromSeconds(currentLeft () + (waiting |> List.sumBy (fun node -> perStep node)))

    /// Share of the run that is done, 0 to 1.
    member this.Share: float =
        let now = if current.IsSome then running.Elapsed.TotalSeconds else 0.0
        let total = spent + now + this.Left.TotalSeconds
        if total <= 0.0 then 1.0 else (spent + now) / total
