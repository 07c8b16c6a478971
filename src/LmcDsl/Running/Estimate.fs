namespace LmcDsl

open System
open System.Collections.Generic
open System.Diagnostics

/// How far a step that is under way has come, since it first said so: what it did before, reading data for instance, says nothing of its pace.
type private Pace =
    {
        FirstShare: float
        FirstTime: float
        Share: float
        Time: float
    }

    // Of less than this nothing follows.
    member this.IsKnown = this.Share - this.FirstShare >= 0.03 && this.Time - this.FirstTime >= 1.0

    member this.Left(now: float) =
        let perShare = (this.Time - this.FirstTime) / (this.Share - this.FirstShare)
        max 0.0 ((1.0 - this.Share) * perShare - (now - this.Time))

/// Guesses how long a run still takes, from how long steps of the same operation took before in it; `now` gives seconds on a clock.
type Estimate(now: unit -> float) =

    // Trainings of one recipe take alike, those of two do not.
    let kind (node: Node) = if isTraining node then node.Title.Split(", seed").[0] else node.Op.Name

    let finished = Dictionary<string, float * int>()
    let running = Dictionary<string, Node * float>()
    let paces = Dictionary<string, Pace>()
    // By kind, so that a plan of many steps costs no more at each event than one of few.
    let waiting = Dictionary<string, HashSet<string>>()
    let ops = Dictionary<string, Op>()
    let mutable spent = 0.0
    let mutable shown: (float * float) option = None // time left, and when it was said

    let expected (node: Node, started: float) =
        match paces.TryGetValue node.Key with
        | true, pace when pace.IsKnown -> Some(pace.Time - started + pace.Left pace.Time)
        | _ -> None

    // Seconds of a step of a kind, and whether they were measured in this run.
    let perStep (kindOf: string) : float * bool =
        match finished.TryGetValue kindOf with
        | true, (total, count) -> total / float count, true
        | _ ->
            running.Values
            |> Seq.filter (fun (node, _) -> kind node = kindOf)
            |> Seq.tryPick expected
            |> Option.map (fun seconds -> seconds, true)
            |> Option.defaultWith (fun () -> ops[kindOf].Seconds, false)

    let left (node: Node, started: float) : float * bool =
        match paces.TryGetValue node.Key with
        | true, pace when pace.IsKnown -> pace.Left(now ()), true
        | _ ->
            let seconds, measured = perStep (kind node)
            max 0.0 (seconds - (now () - started)), measured

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
        paces.Remove node.Key |> ignore

    // Seconds of all steps, side by side as now, and how many of them were never measured.
    let total () : float * float =
        let parts =
            [
                for step in running.Values do
                    left step
                for KeyValue(kindOf, keys: HashSet<string>) in waiting do
                    let seconds, measured = perStep kindOf
                    float keys.Count * seconds, measured
            ]

        let sum keep = parts |> List.filter keep |> List.sumBy fst
        let side = float (max 1 running.Count)
        sum (fun _ -> true) / side, sum (snd >> not) / side

    new() =
        let clock = Stopwatch.StartNew()
        Estimate(fun () -> clock.Elapsed.TotalSeconds)

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
            running[node.Key] <- (node, now ())
        | Advanced(node, progress) ->
            let time = now ()

            paces[node.Key] <-
                match paces.TryGetValue node.Key with
                | true, pace -> { pace with Share = progress.Share; Time = time }
                | _ ->
                    {
                        FirstShare = progress.Share
                        FirstTime = time
                        Share = progress.Share
                        Time = time
                    }
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
                match paces.TryGetValue node.Key with
                | true, pace -> node, pace.Share
                | _ -> node, 0.0
        ]

    /// Time left, roughly: what all steps still take, side by side as now; of what was never measured, what it took elsewhere.
    member _.Left: TimeSpan = TimeSpan.FromSeconds(fst (total ()))

    /// Time left as people are told it: nothing while most of it is guessed, and no jumps. It runs down as the clock does, and draws near
    /// to what is now thought, halfway in ten seconds.
    member _.Told: TimeSpan option =
        let left, guessed = total ()

        if guessed > 0.34 * left then
            None
        else
            let time = now ()

            let smooth =
                match shown with
                | None -> left
                | Some(before, at) ->
                    let counted = max 0.0 (before - (time - at))
                    left + (counted - left) * (0.5 ** ((time - at) / 10.0))

            shown <- Some(smooth, time)
            Some(TimeSpan.FromSeconds smooth)

    /// Share of the run that is done, 0 to 1.
    member this.Share: float =
        let under = running.Values |> Seq.sumBy (fun (_, started) -> now () - started)
        let total = spent + under + this.Left.TotalSeconds * float (max 1 running.Count)
        if total <= 0.0 then 1.0 else (spent + under) / total
