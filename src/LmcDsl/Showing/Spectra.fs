namespace LmcDsl

/// What singular values and input projections of a report say, as rows that tables sum up and as curves.
[<RequireQualifiedAccess>]
module Spectra =

    let private row (measure: string) (of': Row) models labels value =
        { of' with
            Measure = measure
            Models = models
            Labels = of'.Labels @ labels
            Value = Json.Object value
        }

    let private layerName (layer: Json) = layer["name"].String.Replace(".weight", "")

    let private values (layer: Json) = [ for value in layer["values"].Items -> value.Float ]

    /// The relative difference |s - s'| / |s| of each layer's singular values between each two models of the same labels: rows of
    /// the measure `spectrumDifference`, labelled `layer`.
    let differences (report: Report) : Report =
        let rows = (Report.sound report).Rows |> List.filter (fun row -> row.Measure = "singularValues")
        let norm xs = sqrt (xs |> List.sumBy (fun x -> x * x))

        {
            Rows =
                [
                    for _, own in rows |> List.groupBy _.Labels do
                        for a, b in List.allPairs own own do
                            if a.Models < b.Models then
                                for one, other in List.zip a.Value["layers"].Items b.Value["layers"].Items do
                                    let difference =
                                        norm (List.map2 (-) (values one) (values other)) / norm (values one)

                                    row "spectrumDifference" a (a.Models @ b.Models) [ "layer", layerName one ] [
                                        "difference", Json.float difference
                                    ]
                ]
        }

    /// How much of the energy of each layer's inputs the dominant right singular vectors (s_i >= gamma s_1) hold, beside their share
    /// among the vectors: rows of the measure `inputEnergy`, labelled `layer`.
    let inputEnergy (gamma: float) (report: Report) : Report =
        {
            Rows =
                [
                    for r in (Report.sound report).Rows do
                        if r.Measure = "inputProjections" then
                            for layer in r.Value["layers"].Items do
                                let s, shares = values layer, [ for share in layer["shares"].Items -> share.Float ]
                                let dominant = s |> List.filter (fun v -> v >= gamma * s.Head) |> List.length
                                let vectors = float dominant / float s.Length
                                let energy = List.sum (List.take dominant shares) / List.sum shares

                                row "inputEnergy" r r.Models [ "layer", layerName layer ] [
                                    "vectors", Json.float vectors
                                    "energy", Json.float energy
                                    "times", Json.float (energy / vectors)
                                ]
                ]
        }

    // At most `most` layers of a network, evenly chosen, the first and the last among them.
    let private chosen most (layers: 'a list) =
        if layers.Length <= most then
            layers
        else
            [ for k in 0 .. most - 1 -> layers[k * (layers.Length - 1) / (most - 1)] ]

    let private perNetwork measure (report: Report) =
        (Report.sound report).Rows
        |> List.filter (fun row -> row.Measure = measure)
        |> List.groupBy (fun row ->
            row.Labels |> List.tryFind (fst >> (=) "network") |> Option.map snd |> Option.defaultValue "")

    /// One figure for each network: singular values, over the layer's largest, by rank; one colour for each of at most six layers, one
    /// line for each model.
    let figures (report: Report) : Figure list =
        [
            for network, rows in perNetwork "singularValues" report do
                let traces =
                    [
                        for m, row in List.indexed rows do
                            for k, layer in List.indexed (chosen 6 row.Value["layers"].Items) do
                                let s = values layer
                                let at i = float i / float (max 1 (s.Length - 1))
                                let points = s |> List.mapi (fun i v -> at i, v / s.Head)
                                Draw.curve (layerName layer) k m (m = 0) points
                    ]

                let caption =
                    $"{network}: singular values of {rows.Length} models that differ in seed only, over the layer's largest, by relative rank. Each line is a model; the lines of a layer have one colour."

                Draw.figure
                    $"singular-values-{Draw.slug network}"
                    caption
                    (Draw.layout "rank / number of singular values" "s / largest s")
                    traces
        ]

    /// One figure for each network: the root mean square of the inner product of a layer's inputs, of unit length, with each right
    /// singular vector, by singular value; at most six layers of the first model.
    let projectionFigures (report: Report) : Figure list =
        [
            for network, rows in perNetwork "inputProjections" report do
                let traces =
                    [
                        for k, layer in List.indexed (chosen 6 rows.Head.Value["layers"].Items) do
                            let s = values layer
                            let shares = [ for share in layer["shares"].Items -> sqrt (max 0.0 share.Float) ]
                            Draw.points (layerName layer) k (List.map2 (fun v p -> v / s.Head, p) s shares)
                    ]

                let layout = Draw.layout "s / largest s" "rms of v · x / |x|"
                layout.yaxis.``type`` <- "log"

                let caption =
                    $"{network}: how the inputs of each layer lie to the right singular vectors of its weight."

                Draw.figure $"input-projections-{Draw.slug network}" caption layout traces
        ]
