namespace LmcDsl.Beyond

open LmcDsl

/// The law barrier = c width^slope after weight matching, fitted by least squares of logarithms, with intervals by bootstrap over pairs of
/// models, and the width at which the barrier falls below a tenth of the naive one, between those measured.
[<RequireQualifiedAccess>]
module Law =

    /// Barriers below this many nats are what the test set's noise and the grid of lambdas leave: no logarithm is taken of them.
    let floor = 2e-3

    /// What was measured of one pair of models: width, barrier before and after weight matching.
    type Curve = (float * float * float) list

    /// The curves of a network, one for each pair of models.
    let curves (network: string) (report: Report) : Curve list =
        [
            for seeds, own in
                Subject.ofReport report
                |> List.filter (fun s -> s.Aligned && s.Key "network" = network)
                |> List.groupBy _.Key("seeds") do
                [
                    for s in own do
                        match Quantity.naiveBarrier.Of s, Quantity.lossBarrier.Of s with
                        | Some before, Some after -> Number.parse (s.Key "width"), before, after
                        | _ -> ()
                ]
                |> List.sortBy (fun (width, _, _) -> width)
        ]

    /// The networks of a report.
    let networks (report: Report) : string list = Subject.ofReport report |> List.map _.Key("network") |> List.distinct

    // Means over pairs by width.
    let private means (curves: Curve list) =
        curves
        |> List.concat
        |> List.groupBy (fun (width, _, _) -> width)
        |> List.map (fun (width, own) ->
            width, own |> List.averageBy (fun (_, b, _) -> b), own |> List.averageBy (fun (_, _, a) -> a))
        |> List.sortBy (fun (width, _, _) -> width)

    let private fit (points: (float * float) list) =
        points |> List.filter (fun (_, y) -> y > floor) |> List.map (fun (x, y) -> log x, log y) |> Interval.line

    /// The power of the width by which the barrier goes.
    let slope (curves: Curve list) : float =
        match fit [ for width, _, after in means curves -> width, after ] with
        | Some(_, slope) -> slope.Value
        | None -> nan

    /// The first width at which the barrier after matching is a tenth of the naive one, between two that were measured on the straight line of
    /// logarithms; infinite where it is more at all of them.
    let tenth (curves: Curve list) : float =
        let measured = means curves
        let quotients = [ for width, before, after in measured -> log width, log (max after 1e-6 / before) - log 0.1 ]

        match quotients |> List.tryFindIndex (fun (_, above) -> above <= 0.0) with
        | None -> infinity
        | Some 0 -> let width, _, _ = measured.Head in width // itself: the exponential of its logarithm may lie below it
        | Some k ->
            let (x0, y0), (x1, y1) = quotients[k - 1], quotients[k]
            exp (x0 + (x1 - x0) * y0 / (y0 - y1))

    /// The same with intervals.
    let slopeOf (curves: Curve list) : Interval = Interval.bootstrap slope curves

    /// The same with intervals.
    let tenthOf (curves: Curve list) : Interval = Interval.bootstrap tenth curves

    let private shown digits (interval: Interval) =
        if System.Double.IsNaN interval.Value then
            "–"
        else
            Interval.show digits interval

    /// The fitted law of each network.
    let table (report: Report) : Table =
        {
            Title = "The law: barrier = c width^slope, where it is above 0.002"
            Columns = [ "network"; "slope (95 %)"; "width of a tenth of the naive barrier (95 %)"; "pairs" ]
            Rows =
                [
                    for network in networks report do
                        match curves network report with
                        | [] -> ()
                        | own ->
                            [
                                network
                                shown 2 (slopeOf own)
                                shown (if network.StartsWith "MLP" then 0 else 2) (tenthOf own)
                                string own.Length
                            ]
                ]
        }

    /// A network's barriers with the fitted line.
    let figure (network: string) (report: Report) : Figure option =
        match curves network report with
        | [] -> None
        | own ->
            let points = means own
            let above = points |> List.filter (fun (_, _, after) -> after > floor)

            let line =
                match fit [ for width, _, after in points -> width, after ] with
                | Some(intercept, slope) when above.Length >= 2 ->
                    let at (width: float) = width, exp (intercept.Value + slope.Value * log width)
                    let first, _, _ = above.Head
                    let last, _, _ = List.last above
                    [ Draw.curve "fitted law" 1 0 true [ at first; at last ] ]
                | _ -> []

            let measured =
                [
                    Draw.points "naive" 3 [ for width, before, _ in points -> width, max floor before ]
                    Draw.points "after weight matching" 0 [ for width, _, after in points -> width, max floor after ]
                ]

            let layout = Draw.layout "width" "loss barrier (nats)"
            layout.xaxis.``type`` <- "log"
            layout.yaxis.``type`` <- "log"
            layout.yaxis.dtick <- 1.0 // at powers of ten
            layout.xaxis.tickvals <- [ for width, _, _ in points -> width ]
            layout.xaxis.ticktext <- [ for width, _, _ in points -> Number.shortest width ]

            Some(
                Draw.figure
                    $"law-{Draw.slug network}"
                    $"{network}: loss barrier against width, mean over {own.Length} pairs, and the law fitted where it is above {Number.shortest floor}; what is below is drawn there."
                    layout
                    (measured @ line)
            )
