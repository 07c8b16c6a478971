namespace LmcDsl.Tool

open System
open Argu
open LmcDsl
open LmcDsl.Core.Architectures
open LmcDsl.Core.Checkpoints
open LmcDsl.Core.Importing
open LmcDsl.Core.Runtime

/// Under which names a network's parameters are found in checkpoints.
[<RequireQualifiedAccess>]
module CheckpointNames =

    /// Names of checkpoints as the user's map reads them, and what is left to read by the usual ones; constants are those of the graph, where
    /// there is one.
    let ofCheckpoints network (graph: OnnxModel option) (arguments: ParseResults<ModelArgument>) =
        let usual = NameMap.For network

        let names =
            match arguments.TryGetResult ModelArgument.Names with
            | Some file -> NameMap.FromJson(InputFile.ReadText(file, "a map of names"), file).Then usual
            | None -> usual

        match graph with
        | Some model -> names.WithConstants model.Constants
        | None -> names

    /// A checkpoint as one of the network's.
    let open' arguments network (names: NameMap) (file: string, key: string | null) : Placement =
        Checkpoint.Open(
            file,
            network,
            names,
            key,
            NetworkArguments.graphOutput arguments,
            NetworkArguments.openSizes arguments
        )

    /// The network under the checkpoints' names: where the graph's do not fit, those that the numbers of one of the files say.
    let fitting
        (arguments: ParseResults<ModelArgument>)
        (model: OnnxModel)
        (network: Network)
        (files: (string * (string | null)) list)
        : Network * string =
        let names = ofCheckpoints network (Some model) arguments

        let fits (file, key) =
            try
                (open' arguments network names (file, key)).Source.Dispose()
                None
            with :? LmcException as error ->
                Some error

        // Where the names fit by their places alone, numbers say whether each tensor is what its place says.
        let computed () =
            if not model.LostNames then
                None
            else
                files
                |> List.tryPick (fun (file, key) ->
                    let placement = open' arguments network names (file, key)
                    use _ = placement.Source

                    match model.Computed placement with
                    | null -> None
                    | name ->
                        Some(
                            LmcException
                                $"{file}: tensor '{name}': expected the numbers that the graph has in its place, found others: the export computed them"
                        ))

        match fits files.Head |> Option.orElseWith computed with
        | None -> network, ""
        | Some misfit ->
            let rename =
                arguments.TryGetResult ModelArgument.Names
                |> Option.map (fun file ->
                    let map = NameMap.FromJson(InputFile.ReadText(file, "a map of names"), file)
                    Func<string, string>(map.Apply))
                |> Option.toObj

            let search (file: string, key) =
                try
                    use source = TensorSource.Open(file, Placement.Fitting(network, names, key))

                    let named = model.Named(source, rename)
                    let found = Network named.Architecture
                    (open' arguments found (ofCheckpoints found (Some model) arguments) (file, key)).Source.Dispose()

                    Choice1Of2(found, $"those that the export lost, by the numbers of {file}: {named.Found}")
                with :? LmcException as error ->
                    Choice2Of2 error.Message

            let rec first told files =
                match files with
                | [] ->
                    let reasons =
                        match told |> List.rev |> List.distinct |> List.except [ misfit.Message ] with
                        | [] -> "no other fit"
                        | others -> String.concat "; " others

                    let alone =
                        match NetworkArguments.graphOutput arguments with
                        | null -> ""
                        | output ->
                            $" (--graph-output {output} leaves out what the other outputs read alone; without it all is read)"

                    raise (
                        LmcException(
                            $"{misfit.Message}{alone}; the names were looked for by numbers: {reasons}; an export keeps names by: {OnnxModel.ExportLines}",
                            misfit
                        )
                    )
                | file :: rest ->
                    match Stage.during $"finding names in {fst file}" (fun () -> search file) with
                    | Choice1Of2 answer -> answer
                    | Choice2Of2 reason -> first (reason :: told) rest

            first [] (List.distinctBy fst files)
