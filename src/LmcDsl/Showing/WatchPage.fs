namespace LmcDsl

open System
open System.Collections.Generic
open System.Text

/// A page that shows a run while it lasts and loads itself anew every few seconds: steps, time left, and the numbers that steps under way
/// follow, as losses of trainings. One file without scripts, which asks nothing of any network. `now` gives seconds on a clock.
type internal WatchPage(path: string, title: string, now: unit -> float) =

    // Points of a curve on the page, and seconds between two writings of it.
    let most = 400
    let pause = 2.0
    let kept = 40

    let estimate = Estimate now
    let curves = Dictionary<string, string * List<float * float>>()
    let order = List<string>()
    let mutable toDo = 0
    let mutable before = 0
    let mutable finished = 0
    let mutable written = Double.NegativeInfinity
    let lines = List<string>()

    let note (node: Node) (share: float) (value: float) =
        let _, points =
            match curves.TryGetValue node.Key with
            | true, known -> known
            | _ ->
                let fresh = node.Title, List<float * float>()
                curves[node.Key] <- fresh
                order.Add node.Key
                fresh

        points.Add(share, value)

        // Every second one goes when there are too many: the curve keeps its shape.
        if points.Count > most then
            for k in points.Count - 2 .. -2 .. 1 do
                points.RemoveAt k

    let text (content: string) = Page.encode content

    // A curve over the share of the step that is done, as a drawing of fixed proportions.
    let drawing (points: List<float * float>) =
        let width, height = 560.0, 120.0
        let values = points |> Seq.map snd |> Seq.filter Double.IsFinite |> List.ofSeq

        if values.Length < 2 then
            ""
        else
            let low, high = List.min values, List.max values
            let span = if high > low then high - low else 1.0
            let at (x: float) (y: float) = $"{Number.fixedPoint 1 x},{Number.fixedPoint 1 y}"

            let line =
                points
                |> Seq.filter (fun (_, value) -> Double.IsFinite value)
                |> Seq.map (fun (share, value) -> at (share * width) (6.0 + (high - value) / span * (height - 12.0)))
                |> String.concat " "

            let label y (value: float) =
                $"<text x=\"{width + 6.0}\" y=\"{Number.fixedPoint 0 y}\">{Number.fixedPoint 4 value}</text>"

            $"<svg viewBox=\"0 0 {width + 70.0} {height}\" role=\"img\"><rect width=\"{width}\" height=\"{height}\"/><polyline points=\"{line}\"/>{label 12.0 high}{label (height - 4.0) low}</svg>"

    let page (state: string) (refresh: bool) =
        let recent = order |> Seq.rev |> Seq.truncate kept |> List.ofSeq

        [
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
            "<meta name=\"viewport\" content=\"width=device-width\"><link rel=\"icon\" href=\"data:,\">"
            if refresh then
                "<meta http-equiv=\"refresh\" content=\"3\">"
            $"<title>{text title}: {text state}</title><style>{Page.style}"
            "svg { width: 100%; max-width: 44rem; } svg rect { fill: none; stroke: var(--rule); } svg polyline { fill: none; stroke: var(--accent); stroke-width: 1.6; }"
            "svg text { fill: currentColor; font-size: 11px; } progress { width: 100%; max-width: 44rem; }</style></head><body>"
            $"<h1>{text title}</h1>"
            $"<p>{text state}</p>"
            $"<p><progress max=\"{max 1 toDo}\" value=\"{finished}\"></progress></p>"
            for key in recent do
                let name, points = curves[key]
                let share, value = points[points.Count - 1]

                $"<h2>{text name}</h2><p>{Number.fixedPoint 0 (100.0 * share)} %%, {Number.fixedPoint 4 value}</p>{drawing points}"
            if lines.Count > 0 then
                "<h2>Told</h2>"

                for line in Seq.truncate kept (Seq.rev lines) do
                    $"<p>{text line}</p>"
            "</body></html>\n"
        ]
        |> String.concat "\n"

    let state () =
        let under =
            match estimate.Running with
            | [] -> ""
            | running -> ": " + String.Join("; ", running |> List.map (fst >> _.Title))

        let left =
            match estimate.Told with
            | Some time ->
                let minutes = time.ToString @"h\:mm\:ss"
                $", {minutes} left"
            | None -> ""

        $"{finished} of {toDo} steps done, {before} were done before{left}{under}"

    let write state refresh =
        written <- now ()
        AtomicFile.writeText path (page state refresh)

    /// Takes an event of the run into account.
    member _.Note(event: RunEvent) =
        lock curves (fun () ->
            estimate.Note event

            match event with
            | Planned(steps, alreadyDone) ->
                toDo <- max toDo steps.Length
                before <- alreadyDone
            | Finished _ -> finished <- finished + 1
            | Advanced(node, progress) -> progress.Value |> Option.iter (note node progress.Share)
            | Warned line -> lines.Add line
            | Started _
            | Waiting _ -> ()

            if now () - written >= pause then
                write (state ()) true)

    /// Writes the page as it stays, with how the run ended.
    member _.End(ending: string) = lock curves (fun () -> write $"{ending}: {finished} of {toDo} steps done" false)
