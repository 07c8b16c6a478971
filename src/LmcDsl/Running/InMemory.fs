namespace LmcDsl

open System
open System.Collections.Generic
open System.Threading
open LmcDsl.Core.Runtime

/// The values of steps in memory, without a store: for models that are at hand. What a step gives is that which a runner would store.
type InMemory(cancel: CancellationToken) =

    let values = Dictionary<string, Value>()
    let notes = Dictionary<string, (string * Json) list>()
    let data = new LoadedData()
    let mutable given = 0

    let execute (node: Node) (inputs: Value list) =
        let noted = List<string * Json>()

        let context =
            {
                Args = node.Args
                Inputs = inputs
                OwnsInputs = false
                Data = fun () -> data.For node
                Progress = ignore
                SavePartial = ignore
                LoadPartial = fun () -> None
                Note = noted.Add
                Keep =
                    fun op value ->
                        let beside = Plan.beside op node
                        values[beside.Key] <- value
                        notes[beside.Key] <- []
                Cancel = cancel
            }

        let value = node.Op.Run context
        notes[node.Key] <- List.ofSeq noted
        value

    let rec value (node: Node) : Value =
        match values.TryGetValue node.Key with
        | true, known -> known
        | _ ->
            cancel.ThrowIfCancellationRequested()
            let inputs = node.Inputs |> List.map value

            let made =
                try
                    execute node inputs
                with :? LmcException as error ->
                    raise (LmcException($"{node.Title}: {error.Message}", error))

            values[node.Key] <- made
            made

    /// A step whose value is there: a model by a name. The value stays its owner's.
    member _.Given(name: string, model: LmcDsl.Core.Architectures.ParameterSet) : Node =
        let op = Op.make "given" 1 0.0 (fun _ -> raise (LmcException $"{name}: expected to be given"))
        let args = Args.ofFields [ "name", Json.Text name; "number", Json.int (int64 given) ]
        given <- given + 1
        let plan: Plan<Model> = Plan.make op name args []
        let node = Plan.node plan
        values[node.Key] <- Parameters model
        node

    /// A step's value, made with what it needs where it is not there yet. Freed with this.
    /// Raises `LmcException` with the step's title where it fails.
    member _.Value(node: Node) : Value = value node

    /// What a step noted beside its value.
    member _.Notes(node: Node) : (string * Json) list =
        match notes.TryGetValue node.Key with
        | true, found -> found
        | _ -> []

    /// The report of a plan. Raises `LmcException` where a measurement fails.
    member _.Report(plan: Plan<Report>) : Report =
        {
            Rows =
                [
                    for about, step in ReportStep.rows plan ->
                        match value step with
                        | Document json -> Report.row about json
                        | Parameters _ -> raise (LmcException $"{step.Title}: expected a measurement, found a model")
                ]
        }

    interface IDisposable with
        /// Frees what was made, and the data sets.
        member _.Dispose() =
            for KeyValue(key, value) in values do
                if notes.ContainsKey key then
                    (value :> IDisposable).Dispose()

            (data :> IDisposable).Dispose()
