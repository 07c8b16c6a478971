namespace LmcDsl.Tool

open System.Threading
open Argu
open LmcDsl
open LmcDsl.Core.Runtime

/// `lmc measure A B ...`: what metrics say of models as they are, every pair of them.
[<RequireQualifiedAccess>]
module MeasureCommand =

    // The metrics asked for, on as many points as asked for.
    let private metrics (arguments: ParseResults<ModelArgument>) (population: Population) : Metric list =
        let words = (arguments.GetResult(ModelArgument.Metric, defaultValue = "l2,r")).Split ',' |> List.ofArray
        let named = words |> List.map (_.Trim() >> Library.metric "--metric") |> List.distinctBy _.Word

        match arguments.TryGetResult ModelArgument.Points with
        | None -> named
        | Some _ ->
            let points = Json.int (int64 (ArgumentValues.points arguments))
            let hasPoints (metric: Metric) = ((metric.Args population).Json.TryItem "points").IsSome

            if not (List.exists hasPoints named) then
                let words = named |> List.map _.Word |> String.concat ", "
                raise (LmcException $"--points: expected a metric that has points, such as barrier, found {words}")

            named |> List.map (Metric.withArgument "points" points)

    let private requireData (data: DataSet option) (population: Population) (metrics: Metric list) =
        match data, metrics |> List.tryFind (fun metric -> (metric.Args population).Data.IsSome) with
        | None, Some metric -> raise (LmcException $"--data: {metric.Word} needs a data set, found none")
        | _ -> ()

    /// Runs the command. Returns the numbers: tables for people, and JSON with the tables' names and the rows as experiments have them.
    let run (arguments: ParseResults<ModelArgument>) (cancel: CancellationToken) : Json * Table list =
        use models = Models.load 2 arguments
        let data = GivenData.ofArguments arguments models.Network

        Models.inMemory cancel (fun memory ->
            let population = Models.population memory arguments models data
            let metrics = metrics arguments population
            requireData data population metrics
            let plan = measureAll metrics population

            let report =
                Stage.during (metrics |> List.map _.Word |> String.concat ", " |> (+) "measuring ") (fun () ->
                    memory.Report plan)

            let ops = metrics |> List.map _.Op
            let quantities = Table.shown ops report

            let measured =
                [
                    for subject in Subject.ofReport report ->
                        Json.Object [
                            "models", Json.texts subject.Models
                            yield! Quantity.ofSubject quantities subject
                        ]
                ]

            // There is one state only.
            let withoutState (table: Table) =
                match table.Columns |> List.tryFindIndex ((=) "state") with
                | Some at ->
                    { table with
                        Columns = List.removeAt at table.Columns
                        Rows = table.Rows |> List.map (List.removeAt at)
                    }
                | None -> table

            Json.Object [
                "models", Json.texts [ for placement in models.Placements -> placement.Source.Path ]
                yield! Models.said models
                yield! GivenData.said data
                "measured", Json.Array measured
                "rows", (Report.toJson report)["rows"]
            ],
            Table.ofReport ops report |> List.map withoutState)
