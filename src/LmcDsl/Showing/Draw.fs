namespace LmcDsl

open System
open System.Text.RegularExpressions
open XPlot.Plotly

/// A figure of a report.
type Figure =
    {
        /// Its name within a page, and that of its files: letters, digits and dashes.
        Id: string
        /// What it shows, in a sentence.
        Caption: string
        /// The drawing.
        Chart: PlotlyChart
    }

/// Drawings in one style, readable in print and by the colour-blind: the palette of Okabe and Ito, series told apart by dash or
/// marker as well as by colour, deviations as bars or bands.
[<RequireQualifiedAccess>]
module Draw =

    /// A text as a name of figures and files: letters, digits and dashes.
    let slug (text: string) : string = Regex.Replace(text.ToLowerInvariant(), "[^a-z0-9]+", "-").Trim '-'

    /// Strong and pale colours of naive rows.
    let naive = "#D55E00", "#F2BF99"

    /// Strong and pale colours, one after another, of whatever else is told apart.
    let palette =
        [
            "#0072B2", "#9CC9E3"
            "#009E73", "#99D8C7"
            "#CC79A7", "#EBC9DC"
            "#E69F00", "#F5D999"
            "#56B4E9", "#BBE1F6"
            "#000000", "#B3B3B3"
        ]

    /// A colour by number, round and round.
    let colour k = palette[k % palette.Length]

    let private dashes = [ "solid"; "dash"; "dot"; "dashdot" ]
    let private symbols = [ "circle"; "square"; "diamond"; "triangle-up"; "x"; "cross" ]

    /// A dash by number, round and round.
    let dash k = dashes[k % dashes.Length]

    /// A marker by number, round and round; in each round of colours another one with each.
    let symbol k = symbols[(k + k / palette.Length) % symbols.Length]

    let private font = Font(family = "Georgia, 'Times New Roman', serif", size = 14.0)

    /// The style's layout, with the titles of both axes.
    let layout (xTitle: string) (yTitle: string) =
        Layout(
            font = font,
            xaxis =
                Xaxis(title = xTitle, zeroline = false, gridcolor = "#e6e6e6", linecolor = "#444444", ticks = "outside"),
            yaxis =
                Yaxis(title = yTitle, zeroline = false, gridcolor = "#e6e6e6", linecolor = "#444444", ticks = "outside"),
            paper_bgcolor = "white",
            plot_bgcolor = "white",
            margin = Margin(t = 16.0, l = 70.0, r = 20.0, b = 60.0),
            legend = Legend(orientation = "h", y = 1.02, x = 0.0, yanchor = "bottom")
        )

    // Of the part between the margins.
    let private height = 344
    let private width = 650

    /// Room for names of places below: what does not fit side by side is written upwards.
    let roomBelow (names: string list) (layout: Layout) : Layout =
        let longest = names |> List.map _.Length |> List.fold max 0

        if names.Length * (7 * longest + 14) > width then
            layout.margin.b <- 60.0 + 5.5 * float (min 40 longest)

        layout

    /// A figure of some traces.
    let figure id caption (layout: Layout) (traces: Trace list) : Figure =
        let chart = Chart.Plot(traces, layout)
        chart.Id <- id
        chart.Width <- 760
        chart.Height <- height + int (layout.margin.t + layout.margin.b)
        { Id = id; Caption = caption; Chart = chart }

    /// The figure under another name, which is made one of files.
    let named (name: string) (figure: Figure) : Figure =
        figure.Chart.Id <- slug name
        { figure with Id = slug name }

    // What a series is called: its keys, but for those that it has not.
    let private nameOf (series: string list) (subject: Subject) =
        series |> List.map subject.Key |> List.filter ((<>) "–") |> String.concat ", "

    // Mean and deviation by series and place, in the order in which they come.
    let private cells (x: string) (series: string list) (quantity: Quantity) (subjects: Subject list) =
        let measured = subjects |> List.choose (fun s -> quantity.Of s |> Option.map (fun value -> s, value))

        [
            for name, own in measured |> List.groupBy (fst >> nameOf series) do
                let places = own |> List.groupBy (fun (s, _) -> s.Key x)
                name, [ for place, all in places -> place, Statistics.summarise (List.map snd all) ]
        ]

    let private number = Number.parse

    let private isWhole (place: string) = number place = floor (number place)

    let private marked (layout: Layout) (places: string list) =
        layout.xaxis.tickvals <- List.map number places
        layout.xaxis.ticktext <- places

    // No mark between whole numbers: at each of a few places, or at whole steps.
    let private wholeMarks (layout: Layout) (places: string list) =
        let at = places |> List.map number |> List.sort
        let span = List.last at - at.Head

        if places.Length <= 8 && span <= 40.0 * float (max 1 (places.Length - 1)) then
            marked layout places
        else
            layout.xaxis.dtick <- max 1.0 (ceil (span / 10.0))
            layout.xaxis.tick0 <- at.Head

    // Naive series have the colour of naive rows, of several quantities the last one is strong.
    let private shade (name: string) series pale =
        let pair = if name.StartsWith "naive" then naive else colour series
        if pale then snd pair else fst pair

    /// Bars of quantities' means, in groups by one key, told apart by others; whiskers of one standard deviation. None where nothing
    /// was measured.
    let bars
        id
        caption
        (x: string)
        (series: string list)
        (quantities: Quantity list)
        (keep: Subject -> bool)
        (report: Report)
        =
        let subjects = Subject.ofReport report |> List.filter keep
        let names = subjects |> List.map (nameOf series) |> List.distinct

        let traces: Trace list =
            [
                for q, quantity in List.indexed quantities do
                    for name, places in cells x series quantity subjects do
                        let own =
                            names |> List.filter (fun n -> not (n.StartsWith "naive")) |> List.tryFindIndex ((=) name)

                        let title = if quantities.Length > 1 then $"{name}, {quantity.Heading}" else name
                        let color = shade name (defaultArg own 0) (quantities.Length > 1 && q = 0)

                        let whiskers =
                            Error_y(
                                ``type`` = "data",
                                array = [ for _, s in places -> s.Deviation ],
                                visible = true,
                                thickness = 1.2
                            )

                        Bar(
                            x = List.map fst places,
                            y = [ for _, s in places -> s.Mean ],
                            name = title.TrimStart(',', ' '),
                            marker = Marker(color = color),
                            error_y = whiskers
                        )
            ]

        match traces, quantities with
        | [], _
        | _, [] -> None
        | _ ->
            let places = subjects |> List.map _.Key(x) |> List.distinct
            let layout = layout "" (Quantity.common quantities) |> roomBelow places
            layout.xaxis.``type`` <- "category" // places such as "0, 1" are no numbers
            Some(figure id caption layout traces)

    /// Lines of a quantity's mean over a key, told apart by others, with a band of one standard deviation on either side. `axis` is
    /// `linear` or `log` for keys that are numbers, `category` for others. None where nothing was measured.
    let lines id caption (x: string) (axis: string) (series: string list) (quantity: Quantity) keep (report: Report) =
        match Subject.ofReport report |> List.filter keep |> cells x series quantity with
        | [] -> None
        | all ->
            let traces: Trace list =
                [
                    for k, (name, places) in List.indexed all do
                        let places = if axis = "category" then places else places |> List.sortBy (fst >> number)

                        let at =
                            [ for place, _ in places -> if axis = "category" then box place else box (number place) ]

                        let edge sign = places |> List.map (fun (_, s) -> s.Mean + sign * s.Deviation)

                        if places |> List.exists (fun (_, s) -> s.Deviation > 0.0) then
                            Scatter(
                                x = at @ List.rev at,
                                y = edge 1.0 @ List.rev (edge -1.0),
                                fill = "toself",
                                fillcolor = shade name k true,
                                opacity = 0.45,
                                mode = "lines",
                                line = Line(width = 0.0),
                                hoverinfo = "skip",
                                showlegend = false
                            )

                        Scatter(
                            x = at,
                            y = [ for _, s in places -> s.Mean ],
                            mode = "lines+markers",
                            name = name,
                            line = Line(color = shade name k false, width = 2.0, dash = dash k),
                            marker = Marker(symbol = symbol k, size = 8.0),
                            showlegend = (name <> "")
                        )
                ]

            let layout = layout x quantity.Heading
            layout.xaxis.``type`` <- axis
            let places = all |> List.collect (snd >> List.map fst) |> List.distinct

            match axis with
            // At the places themselves: marks between powers of ten are hard to read.
            | "log" -> marked layout places
            | "linear" when places |> List.forall isWhole -> wholeMarks layout places
            | _ -> ()

            Some(figure id caption layout traces)

    /// A curve through points, in a colour and a dash by number.
    let curve (name: string) (color: int) (line: int) legend (points: (float * float) list) : Trace =
        Scatter(
            x = List.map fst points,
            y = List.map snd points,
            mode = "lines",
            name = name,
            legendgroup = name,
            showlegend = legend,
            line = Line(color = fst (colour color), width = 1.6, dash = dash line)
        )

    /// Separate points, in a colour and a marker by number.
    let points (name: string) (k: int) (places: (float * float) list) : Trace =
        Scatter(
            x = List.map fst places,
            y = List.map snd places,
            mode = "markers",
            name = name,
            showlegend = true,
            marker = Marker(color = fst (colour k), symbol = symbol k, size = 6.0, opacity = 0.75)
        )

    /// Contours of a grid of numbers over a plane, and some places marked on it.
    let contour
        id
        caption
        (title: string)
        (x: float list)
        (y: float list)
        (z: float list list)
        (places: (string * float * float) list)
        =
        let map =
            Contour(
                x = x,
                y = y,
                z = z,
                colorscale = "Cividis",
                ncontours = 16,
                line = Line(width = 0.5, color = "#ffffff"),
                colorbar = Colorbar(title = title, thickness = 14.0),
                showlegend = false
            )

        let marks =
            Scatter(
                x = [ for _, u, _ in places -> u ],
                y = [ for _, _, v in places -> v ],
                mode = "markers",
                marker = Marker(color = "#ffffff", size = 9.0, line = Line(color = "#000000", width = 1.5)),
                showlegend = false
            )

        let above = 0.02 * (List.max y - List.min y)

        let names =
            [
                for name, u, v in places ->
                    Annotation(
                        text = name,
                        x = u,
                        y = v + above,
                        showarrow = false,
                        yanchor = "bottom",
                        bgcolor = "rgba(255, 255, 255, 0.75)",
                        borderpad = 1.0
                    )
            ]

        let layout = layout "distance along the way from a to b (L2)" "distance from it (L2)"
        layout.annotations <- names
        figure id caption layout [ map; marks ]
