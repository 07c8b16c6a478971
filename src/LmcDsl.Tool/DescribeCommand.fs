namespace LmcDsl.Tool

open Argu
open LmcDsl
open LmcDsl.Core.Architectures
open LmcDsl.Core.Importing

/// `lmc describe FILE|FOLDER|ARCH`: what a network is made of, what of it may be permuted, and what may not.
[<RequireQualifiedAccess>]
module DescribeCommand =

    let private axes (network: Network) (group: PermutationGroup) =
        [ for axis in group.Axes -> $"{network.Parameters[axis.Parameter].Name}/{axis.Dimension}" ] |> List.distinct

    // The share of numbers that lie along an axis that may move.
    let private movable (network: Network) =
        let moved =
            set [
                for group in network.Groups do
                    for axis in group.Axes -> axis.Parameter
            ]

        let total = network.Parameters |> Seq.sumBy _.Count
        let free = moved |> Seq.sumBy (fun p -> network.Parameters[p].Count)
        if total = 0L then 0.0 else float free / float total

    let private groups (network: Network) : Table =
        {
            Title = $"Groups: {network.Groups.Length}"
            Columns = [ "group"; "units"; "in each of"; "axes" ]
            Rows =
                [
                    for group in network.Groups ->
                        [
                            group.Name
                            string (group.Units / group.Copies)
                            if group.Parent >= 0 then
                                $"{group.Copies} {network.Groups[group.Parent].Name}"
                            else
                                "–"
                            axes network group |> String.concat ", "
                        ]
                ]
        }

    // A kernel's own positions are no units.
    let private fixedAxes (network: Network) =
        network.Pins |> Seq.filter (fun pin -> network.Parameters[pin.Parameter].Layer <> pin.Node) |> List.ofSeq

    let private pins (network: Network) : Table =
        let all = fixedAxes network

        {
            Title = $"Fixed axes: {all.Length}"
            Columns = [ "parameter"; "axis"; "because of" ]
            Rows = [ for pin in all -> [ network.Parameters[pin.Parameter].Name; string pin.Dimension; pin.Node ] ]
        }

    /// Runs the command. Returns what is said of the network, and tables for people.
    let run (arguments: ParseResults<ModelArgument>) : Json * Table list =
        let network, graph, read = NetworkArguments.described arguments

        Json.Object [
            "network", Json.Text network.Architecture.Name
            "input", Json.Array [ for size in network.Architecture.Input -> Json.int (int64 size) ]
            "outputs", Json.int (int64 network.Classes)
            "layers", Json.int (int64 network.Architecture.Nodes.Length)
            "numbers", Json.int network.TotalCount
            "that may move (%)", Json.float (100.0 * movable network)
            "groups",
            Json.Array [
                for group in network.Groups ->
                    Json.Object [
                        "name", Json.Text group.Name
                        "units", Json.int (int64 (group.Units / group.Copies))
                        "copies", Json.int (int64 group.Copies)
                        "axes", Json.texts (axes network group)
                    ]
            ]
            "fixed",
            Json.Array [
                for pin in fixedAxes network ->
                    Json.Object [
                        "parameter", Json.Text network.Parameters[pin.Parameter].Name
                        "axis", Json.int (int64 pin.Dimension)
                        "because of", Json.Text pin.Node
                    ]
            ]
            if not read.IsEmpty then
                "read", Json.texts read
            "notes", Json.texts [ for note in network.Notes -> note ]
            yield! graph |> Option.map NetworkArguments.decided |> Option.defaultValue []
            match graph with
            | Some model when model.LostNames ->
                "names",
                Json.Text
                    $"the export has lost names of weights, which a checkpoint that it is of gives back by its numbers; it keeps them by: {OnnxModel.ExportLines}"
            | _ -> ()
        ],
        [ Describe.table network.Architecture; groups network; pins network ]
