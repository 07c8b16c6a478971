namespace LmcDsl.Tool

open System
open System.IO
open Argu
open LmcDsl
open LmcDsl.Core.Architectures
open LmcDsl.Core.Runtime
open TorchSharp

/// The data that the command line names, as a network's examples.
[<RequireQualifiedAccess>]
module GivenData =

    // The means and deviations, or the way that is meant.
    let private scaling (text: string) : Scaling =
        match text with
        | "own" -> Standardised
        | "unit" -> Scaling.unit
        | "none" -> Scaling.bytes
        | _ ->
            let numbers (part: string) = part.Split ',' |> List.ofArray |> List.map Number.tryParse

            match text.Split '/' |> Array.map numbers with
            | [| means; deviations |] when List.forall Option.isSome (means @ deviations) ->
                Scaled(List.choose id means, List.choose id deviations)
            | _ ->
                raise (
                    LmcException
                        $"--normalise: expected own, unit, none or MEANS/DEVIATIONS (0.1307/0.3081), found '{text}'"
                )

    // Examples in the shape of the network's input: flat, or with axes of one entry more or fewer, they are the same numbers in the same
    // order. A network that reads tokens has the number of one in each place.
    let private reshaped (argument: string) (network: Network) (data: DataSet) : DataSet =
        let wanted = List.ofSeq network.Architecture.Input

        let ofInput (split: Core.Data.DataSplit) =
            use _ = torch.NewDisposeScope()
            let rows = split.Images.reshape [| -1L; yield! List.map int64 wanted |]
            let whole = rows.``to`` torch.int64

            if network.Vocabulary.HasValue then
                let least, most = whole.min().item<int64>(), whole.max().item<int64>()

                if least < 0L || most >= int64 network.Vocabulary.Value || not ((whole.eq rows).all().item<bool>()) then
                    raise (
                        LmcException
                            $"{argument}: network '{network.Architecture.Name}' expects tokens, whole numbers from 0 to {network.Vocabulary.Value - 1}, found {data.Name} with others"
                    )

            // A graph that looks tokens up takes them as numbers.
            new Core.Data.DataSplit((if network.Vocabulary.HasValue then whole else rows), split.Labels.clone ())

        let longer = List.filter ((<>) 1)

        let isFlat =
            match data.Shape with
            | [ numbers; 1; 1 ] -> numbers = List.fold (*) 1 wanted
            | _ -> false

        if data.Windows.IsNone && data.Shape <> wanted && (isFlat || longer data.Shape = longer wanted) then
            { data with
                Shape = wanted
                Read =
                    fun scaling ->
                        use read = data.Read scaling
                        new Core.Data.ImageData(ofInput read.Train, ofInput read.Test, read.Classes)
            }
        else
            data

    /// The data set of an argument: by name, a `.npz` file or a folder of pictures; scaled as the arguments say.
    let named (argument: string) (name: string) (arguments: ParseResults<ModelArgument>) (network: Network) : DataSet =
        let data =
            if name.EndsWith ".npz" then
                DataSet.ofNpz name
            elif Directory.Exists name then
                DataSet.ofImages (Path.GetFileName(Path.GetFullPath name) |> string) network.Architecture.Input[0] name
            else
                Library.dataSetOr "a .npz file, a folder of pictures, or " argument name

        let asked = arguments.TryGetResult ModelArgument.Normalise |> Option.map scaling

        let data = (data, asked) ||> Option.fold (fun data scaling -> DataSet.scaled scaling data)

        let data = reshaped argument network data

        if data.Shape <> List.ofSeq network.Architecture.Input then
            let shown (sizes: int seq) = String.Join(" x ", sizes)

            raise (
                LmcException
                    $"{argument}: network '{network.Architecture.Name}' expects inputs of {shown network.Architecture.Input} (--input), found {data.Name} with {shown data.Shape}"
            )

        if data.Classes > network.Classes then
            raise (
                LmcException
                    $"{argument}: network '{network.Architecture.Name}' has {network.Classes} classes (--classes), found {data.Name} with {data.Classes}"
            )

        data

    /// The data set of `--data`, where it is given.
    let ofArguments (arguments: ParseResults<ModelArgument>) (network: Network) : DataSet option =
        arguments.TryGetResult ModelArgument.Data |> Option.map (fun name -> named "--data" name arguments network)

    /// What an answer says of the data that it rests on.
    let said (data: DataSet option) : (string * Json) list =
        match data with
        | Some data ->
            [
                "data", Json.Text data.Name
                match DataNotes.ofData data with
                | Some note -> "note", Json.Text note
                | None -> ()
                "inputs", Json.Text(DataSet.inputs data)
            ]
        | None -> []
