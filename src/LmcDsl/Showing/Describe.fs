namespace LmcDsl

open LmcDsl.Core.Architectures
open LmcDsl.Core.Permutations
open LmcDsl.Core.Runtime

/// Showing what a network is made of and what is permuted with what.
[<RequireQualifiedAccess>]
module Describe =

    let private parametersOf (network: Network) (node: LayerNode) =
        network.Parameters |> Seq.filter (fun p -> p.Layer = node.Name) |> List.ofSeq

    // Several groups permute one axis where it is made of parts, or of copies with units in each.
    let private named (groups: string seq) =
        match List.ofSeq groups with
        | [] -> None
        | names -> Some(String.concat " + " names)

    let private groupOf (network: Network) (parameter: ParameterSpec) dimension =
        let index = network.Parameters.IndexOf parameter

        network.Groups
        |> Seq.filter (fun group ->
            group.Axes |> Seq.exists (fun axis -> axis.Parameter = index && axis.Dimension = dimension))
        |> Seq.map _.Name
        |> named

    // `[512 fc2, 784]`: each axis with the group that permutes it.
    let private shape (network: Network) (parameter: ParameterSpec) =
        let axes =
            parameter.Shape
            |> Array.mapi (fun dimension size ->
                match groupOf network parameter dimension with
                | Some group -> $"{size} {group}"
                | None -> string size)

        $"""{parameter.Local} [{String.concat ", " axes}]"""

    let private output (network: Network) k =
        let axes =
            [
                for dimension, axis in Seq.indexed network.Outputs[k].Axes ->
                    let groups =
                        network.Outputs[k].Moves
                        |> Seq.filter (fun struct (_, moved) -> moved.Dimension = dimension + 1)
                        |> Seq.map (fun struct (group, _) -> network.Groups[group].Name)

                    match named groups with
                    | Some names -> $"{axis.Size} {names}"
                    | None -> string axis.Size
            ]

        $"""[{String.concat ", " axes}]"""

    /// A network as a table: each layer, what it gives, and its parameters, every axis with the group that permutes it.
    let table (architecture: Architecture) : Table =
        let network = Network architecture

        {
            Title =
                $"{architecture.Name}: {network.LearnedCount} learned numbers, {network.Groups.Length} permutation groups"
            Columns = [ "layer"; "kind"; "output"; "parameters" ]
            Rows =
                [
                    for k, node in Seq.indexed architecture.Nodes ->
                        [
                            node.Name
                            node.Layer.Title
                            output network k
                            parametersOf network node |> List.map (shape network) |> String.concat "; "
                        ]
                ]
        }

    // A palette that stays legible in print; groups beyond it begin anew.
    let private colours = [ "#9CC9E3"; "#F2BF99"; "#B7DFB0"; "#E3C6E8"; "#F5E6A3"; "#C9C9C9"; "#F4B6C2"; "#B5E2E0" ]

    /// A network as a Mermaid flowchart: layers whose units share one order have one colour.
    let mermaid (architecture: Architecture) : string =
        let network = Network architecture
        let id (name: string) = "n_" + name.Replace('.', '_')

        [
            "flowchart TD"
            $"    {id Architecture.InputName}([input])"
            for k, node in Seq.indexed architecture.Nodes do
                let shown = output network k
                $"    {id node.Name}[\"{node.Name}<br/>{node.Layer.Title} {shown}\"]"

                for source in node.Inputs do
                    $"    {id source} --> {id node.Name}"

                match network.Outputs[k].Axes |> Seq.tryFind (fun axis -> axis.Group >= 0) with
                | Some axis -> $"    style {id node.Name} fill:{colours[axis.Group % colours.Length]}"
                | None -> ()
        ]
        |> String.concat "\n"

/// The words of a script that show and check a network.
[<AutoOpen>]
module NetworkWords =

    /// Prints a network: each layer, its output, its parameters, and which group permutes which axis.
    let describe (architecture: Architecture) : unit = Terminal.table (Describe.table architecture)

    /// Runs the law of permutation symmetry on a network, and gives it back.
    /// Raises `LmcException` with the name of the first layer that breaks it.
    let checkSymmetry (architecture: Architecture) : Architecture =
        match SymmetryCheck.FirstBreak(Network architecture) |> Option.ofNullable with
        | None -> architecture
        | Some broken ->
            raise (
                LmcException
                    $"layer '{broken.Node}' of '{architecture.Name}': expected outputs that follow a permutation of the units, found a difference of {100.0 * broken.Error:F1} %%"
            )
