namespace LmcDsl

open System
open System.Collections.Generic
open LmcDsl.Core.Data
open LmcDsl.Core.Runtime

/// The data sets of steps on their devices, each read once.
type internal LoadedData() =

    let loaded = Dictionary<string, ImageData>()

    /// The data set that a step's arguments name, on the device that they name.
    /// Raises `LmcException` where it cannot be read.
    member _.For(node: Node) : ImageData =
        let device = node.Args.TryItem "device" |> Option.map _.String |> Option.defaultValue "cpu"

        let dataset =
            match node.Data with
            | Some dataset -> dataset
            | None -> raise (LmcException "expected arguments that name a data set, found none")

        let key = $"{device} {Json.text (DataSet.identity dataset)}"

        match loaded.TryGetValue key with
        | true, found -> found
        | _ ->
            let onCpu = DataSet.load dataset

            let placed =
                if device = "cpu" then
                    onCpu
                else
                    use onCpu = onCpu
                    onCpu.To(TorchRuntime.Device device)

            loaded[key] <- placed
            placed

    interface IDisposable with
        /// Frees them.
        member _.Dispose() =
            for data in loaded.Values do
                data.Dispose()
