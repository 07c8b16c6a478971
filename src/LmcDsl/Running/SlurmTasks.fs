namespace LmcDsl

open System.Collections.Generic

/// How the steps of a plan are shared out among arrays, and among the tasks of one.
[<RequireQualifiedAccess>]
module internal SlurmTasks =

    let private shortOnesTogether = 16

    /// The array that a step belongs to, by how many long steps lie before it: long ones after n others in array 2n, short ones in the
    /// array before the next long ones. Steps of one array do not need each other, but for short ones that a short one makes itself.
    let arrayNumbers (roots: Node list) : Dictionary<string, int> =
        let longBefore = Dictionary<string, int>()
        let number = Dictionary<string, int>()

        for node in Plan.steps roots do
            let before = node.Inputs |> List.map (fun input -> longBefore[input.Key]) |> List.fold max 0
            longBefore[node.Key] <- before + (if Steps.isLong node then 1 else 0)
            number[node.Key] <- if Steps.isLong node then 2 * before else 2 * before - 1

        number

    /// What is worth a place in an array: long steps, and what a report holds. What these need beside that, they make themselves.
    let wanted (roots: Node list) =
        let measured = roots |> List.collect _.Inputs |> List.map _.Key |> HashSet

        Plan.steps roots
        |> List.filter (fun node -> not (ReportStep.is node) && (Steps.isLong node || measured.Contains node.Key))

    /// Long steps are tasks of their own, of short ones several share one; where that makes more tasks than an array may have, all share.
    let tasksOf (most: int) (nodes: Node list) : Node list list =
        let long, short = nodes |> List.partition Steps.isLong
        let together = shortOnesTogether

        let count each = (long.Length + each - 1) / each + (short.Length + together * each - 1) / (together * each)
        let each = Seq.initInfinite ((+) 1) |> Seq.find (fun each -> count each <= most)
        List.chunkBySize each long @ List.chunkBySize (together * each) short

    /// What is tried again has a task of its own each: what ended a task may have been any of its steps.
    let ownTasks (most: int) (nodes: Node list) : Node list list =
        List.chunkBySize ((nodes.Length + most - 1) / most) nodes

    /// What the plan says of the tasks' needs: a GPU, where a step computes on one.
    let needs (extra: string list) (nodes: Node list) : string list =
        let onGpu (node: Node) =
            match node.Args.TryItem "device" with
            | Some(Json.Text device) -> device.StartsWith "cuda"
            | _ -> false

        let asked = extra |> List.exists (fun option -> option.Contains "gres" || option.Contains "gpus")
        if not asked && List.exists onGpu nodes then [ "--gres=gpu:1" ] else []

    /// As many cores as a step of it has threads.
    let coresOf (cores: int) (tasks: Node list list) : int =
        tasks |> List.concat |> List.map (Steps.threads cores) |> List.fold max 1
