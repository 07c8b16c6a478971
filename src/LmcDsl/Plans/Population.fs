namespace LmcDsl

open LmcDsl.Core.Runtime

/// Models that differ in seed only, described one by one when asked for: only those that something asks for are trained.
type Population =
    {
        /// Member i as trained.
        Trained: int -> Plan<Model>
        /// Member i after alignment; as trained where nothing was aligned.
        Member: int -> Plan<Model>
        /// What the search found for a member, where members were aligned one by one.
        Alignment: (int -> Plan<Alignment>) option
        /// Whether a stage has aligned the members, so that the two above differ.
        Aligned: bool
        /// The mean of the aligned members, once `mergeN` has said of how many.
        Merged: Plan<Model> option
        /// The mean of the same members as trained, for comparison.
        MergedNaive: Plan<Model> option
        /// Which members were merged.
        Taken: int list
        /// Which pairs are measured; all pairs of the members taken where this is not said.
        Pairs: (int * int) list option
        /// Data that the members were trained on, for measures.
        Data: DataSet
        /// Where the measures are computed.
        Device: string
        /// What tells this population's rows from others in one table: name and value, for example `search` and `WM`. The
        /// search is told of aligned rows only.
        Labels: (string * string) list
        /// How many training examples batch-norm statistics are recomputed on after merging; none where the network has no
        /// such statistics, or where they are to be averaged like parameters.
        ResetOn: int option
        /// On how many training examples merged models are renormalised (REPAIR); none where they are not.
        RenormaliseOn: int option
        /// The stages that made it so far, in order, as scripts write them.
        Stages: string list
    }

/// What stages, searches and metrics ask of a population.
[<RequireQualifiedAccess>]
module Population =

    /// Arguments of a step that reads a split (`train` or `test`) of the population's data, and some fields more.
    let onData (split: string) (fields: (string * Json) list) (population: Population) : Args =
        {
            Json =
                Json.Object(
                    [
                        "data", DataSet.identity population.Data
                        "split", Json.Text split
                        "device", Json.Text population.Device
                    ]
                    @ fields
                )
            Data = Some population.Data
        }

    /// The argument that says on how many training examples a point's statistics are recomputed, where the network has any.
    let resetOn (population: Population) : (string * Json) list =
        match population.ResetOn with
        | Some examples -> [ "resetOn", Json.int (int64 examples) ]
        | None -> []

    /// A population of models that are there already: these steps give them, in this order.
    let ofModels (models: Node list) (data: DataSet) (device: string) (resetOn: int option) : Population =
        let one index : Plan<Model> = Plan models[index]

        {
            Trained = one
            Member = one
            Alignment = None
            Aligned = false
            Merged = None
            MergedNaive = None
            Taken = []
            Pairs = None
            Data = data
            Device = device
            Labels = []
            ResetOn = resetOn
            RenormaliseOn = None
            Stages = []
        }

    /// Notes a stage, as scripts write it. Raises `LmcException` where one of its word is there that it would take the place of, or one of
    /// the words that it contradicts.
    let internal stage (written: string) (contradicts: string list) (population: Population) : Population =
        let word (text: string) = text.Split(' ').[0]
        let rivals = word written :: contradicts

        match population.Stages |> List.tryFind (fun earlier -> List.contains (word earlier) rivals) with
        | Some earlier ->
            raise (
                LmcException
                    $"{word written}: expected once, and not beside {earlier}; found after it, which it would undo. Write one of the two: {written}, or {earlier}"
            )
        | None -> { population with Stages = population.Stages @ [ written ] }

    /// A member's model: permuted, or as trained.
    let internal memberOf (population: Population) aligned = if aligned then population.Member else population.Trained

    /// The mean of the members: permuted, or as trained.
    let internal mergedOf (population: Population) aligned =
        if aligned then population.Merged else population.MergedNaive

    /// The states to be measured: naive, and aligned where a stage has aligned the members.
    let internal states (population: Population) = if population.Aligned then [ false; true ] else [ false ]

    /// What titles call a state.
    let internal stateWord aligned = if aligned then "aligned" else "naive"

    /// The pairs of members to be measured: those chosen, or all of the merged ones, or the first two.
    let internal pairs (population: Population) : (int * int) list =
        match population.Pairs, population.Taken with
        | Some chosen, _ -> chosen
        | None, [] -> [ 0, 1 ]
        | None, taken ->
            [
                for i in taken do
                    for j in taken do
                        if i < j then
                            i, j
            ]

    /// The members to be measured: those merged, or those of the pairs.
    let internal taken (population: Population) : int list =
        if population.Taken.IsEmpty then
            pairs population |> List.collect (fun (i, j) -> [ i; j ]) |> List.distinct |> List.sort
        else
            population.Taken
