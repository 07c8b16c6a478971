namespace LmcDsl

open System
open System.Collections.Generic
open System.IO
open System.Threading
open LmcDsl.Core.Runtime

/// What a worker process says of its work.
type internal WorkerEvent =
    /// An event of its runner.
    | Said of RunEvent
    /// The step that it was given is made; it is idle.
    | Done
    /// The step that it was given, or one that this needs, failed; it is idle.
    | Failed of line: string

/// What goes between a run and its worker processes: keys of steps to a worker, one line each; events from it, one line of JSON each.
/// When the run ends, or dies, the worker's input ends, and so does the worker, at the next step of a training.
[<RequireQualifiedAccess>]
module internal WorkerProtocol =

    let private line (fields: (string * Json) list) = Json.text (Json.Object fields)

    let private ofEvent (event: RunEvent) : string option =
        let about name (node: Node) fields = Some(line ([ "is", Json.Text name; "step", Json.Text node.Key ] @ fields))

        match event with
        | Started node -> about "started" node []
        | Advanced(node, progress) ->
            about "advanced" node [
                "share", Json.float progress.Share
                "text", Json.Text progress.Text
                match progress.Value with
                | Some value -> "value", Json.float value
                | None -> ()
            ]
        | Finished(node, seconds) -> about "finished" node [ "seconds", Json.float seconds ]
        | Waiting node -> about "waiting" node []
        | Warned text -> Some(line [ "is", Json.Text "warned"; "line", Json.Text text ])
        | Planned _ -> None

    /// The lines of a stream, as they come, to its end.
    let lines (reader: TextReader) : string seq =
        Seq.initInfinite (fun _ -> Option.ofObj (reader.ReadLine())) |> Seq.takeWhile Option.isSome |> Seq.choose id

    /// Reads what a worker said; nothing where it is not of this protocol (a script may print).
    let read (steps: IReadOnlyDictionary<string, Node>) (text: string) : WorkerEvent option =
        if not (text.StartsWith '{') then
            None
        else
            try
                let json = Json.parse text

                let about (event: Node -> RunEvent) =
                    match steps.TryGetValue json["step"].String with
                    | true, node -> Some(Said(event node))
                    | _ -> None

                match json["is"].String with
                | "started" -> about Started
                | "advanced" ->
                    let progress =
                        {
                            Share = json["share"].Float
                            Text = json["text"].String
                            Value = json.TryItem "value" |> Option.map _.Float
                        }

                    about (fun node -> Advanced(node, progress))
                | "finished" ->
                    let seconds = json["seconds"].Float
                    about (fun node -> Finished(node, seconds))
                | "waiting" -> about Waiting
                | "warned" -> Some(Said(Warned json["line"].String))
                | "done" -> Some Done
                | "failed" -> Some(Failed json["line"].String)
                | _ -> None
            with :? LmcException ->
                None

    // Progress is told a few times a second, not at every batch.
    let private rarely (write: RunEvent -> unit) : RunEvent -> unit =
        let sinceLast = Diagnostics.Stopwatch.StartNew()

        function
        | Advanced _ when sinceLast.Elapsed.TotalSeconds < 0.2 -> ()
        | event ->
            sinceLast.Restart()
            write event

    /// Does the work of a worker process: makes the steps whose keys come in, until the input ends. `start` is given where to tell events,
    /// and what ends the work, and gives what makes a step.
    let serve
        (find: string -> Node)
        (cancel: CancellationToken)
        (start: (RunEvent -> unit) -> CancellationToken -> Node -> unit)
        =
        use output = new StreamWriter(Console.OpenStandardOutput(), AutoFlush = true)
        use ended = CancellationTokenSource.CreateLinkedTokenSource cancel
        use keys = new Collections.Concurrent.BlockingCollection<string>()

        let read () =
            lines Console.In |> Seq.iter keys.Add
            keys.CompleteAdding()
            ended.Cancel() // nobody waits for the rest

        Thread(read, IsBackground = true).Start()
        let make = start (rarely (ofEvent >> Option.iter output.WriteLine)) ended.Token

        for key in keys.GetConsumingEnumerable() do
            let node = find key

            let answer =
                try
                    make node
                    [ "is", Json.Text "done" ]
                with :? LmcException as error ->
                    [ "is", Json.Text "failed"; "line", Json.Text error.Message ]

            output.WriteLine(line answer)
