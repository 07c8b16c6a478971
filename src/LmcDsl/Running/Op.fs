namespace LmcDsl

open System
open System.Collections.Generic
open System.IO
open System.Threading
open LmcDsl.Core.Architectures
open LmcDsl.Core.Checkpoints
open LmcDsl.Core.Data
open LmcDsl.Core.Runtime

/// The value of a step: parameters of a network, or JSON (permutations, measurements, reports).
type Value =
    | Parameters of ParameterSet
    | Document of Json

    interface IDisposable with
        /// Frees the tensors, where there are any.
        member this.Dispose() =
            match this with
            | Parameters model -> model.Dispose()
            | Document _ -> ()

/// How far a step is, told while it runs.
type Progress =
    {
        /// Share done, 0 to 1.
        Share: float
        /// What people read, for example `epoch 3/10, loss 0.31`.
        Text: string
    }

/// What an operation has at hand while it runs.
type OpContext =
    {
        /// The step's arguments.
        Args: Json
        /// The values of its inputs, in order; freed by the runner.
        Inputs: Value list
        /// A data set on a device, by its name, read once for a run; freed by the runner.
        Data: string -> string -> ImageData
        /// Tells how far it is. Cheap; may be called at every step.
        Progress: Progress -> unit
        /// Keeps where the step stands, so that a killed one goes on from there.
        SavePartial: byte[] -> unit
        /// Where the step stood when it was killed.
        LoadPartial: unit -> byte[] option
        /// Notes something for the record beside the value: times, counts. Never part of the value.
        Note: string * Json -> unit
        /// Ends the step when asked to.
        Cancel: CancellationToken
    }

/// An operation: a name, a version that is raised when its meaning changes, and what it does.
type Op =
    {
        /// Its name, as plans give it.
        Name: string
        /// The version of its meaning.
        Version: int
        /// Makes the value.
        Run: OpContext -> Value
    }

/// Reading values from and writing them to bytes, and taking an operation's inputs.
[<RequireQualifiedAccess>]
module Value =

    /// The name of the file and the bytes that hold a value.
    let encode (value: Value) : string * byte[] =
        match value with
        | Parameters model ->
            use stream = new MemoryStream()
            ModelFile.Write(stream, model)
            "value.safetensors", stream.ToArray()
        | Document node -> "value.json", System.Text.Encoding.UTF8.GetBytes(Json.text node + "\n")

    /// The value that a file holds.
    let decode (path: string) (content: byte[]) : Value =
        if path.EndsWith ".safetensors" then
            Parameters(ModelFile.Read(ReadOnlySpan content, path))
        else
            Document(Json.parse (System.Text.Encoding.UTF8.GetString content))

    /// The models among the inputs, on a device. The scope frees copies.
    let models (context: OpContext) : ParameterSet list =
        context.Inputs
        |> List.map (function
            | Parameters model -> model
            | Document _ -> raise (LmcException "expected a model as input, found JSON"))

    /// The JSON documents among the inputs.
    let documents (context: OpContext) : Json list =
        context.Inputs
        |> List.choose (function
            | Document json -> Some json
            | Parameters _ -> None)

/// What most operations need of their context.
[<RequireQualifiedAccess>]
module internal Take =

    /// The data set that the arguments name, on the device that they name.
    let data (context: OpContext) = context.Data context.Args["data"].["name"].String context.Args["device"].String

    /// The split that the arguments name, `train` or `test`.
    let split (context: OpContext) =
        let all = data context
        if context.Args["split"].String = "train" then all.Train else all.Test

    /// A copy on the device that the arguments name.
    let onDevice (context: OpContext) (model: ParameterSet) =
        model.To(TorchRuntime.Device context.Args["device"].String)

    /// The first two inputs, which must be models.
    let pair (context: OpContext) =
        match context.Inputs with
        | Parameters a :: Parameters b :: _ -> a, b
        | _ -> raise (LmcException "expected 2 models first")

    /// Does something with copies of the first two inputs on the device.
    let pairOnDevice (context: OpContext) (work: ParameterSet -> ParameterSet -> 'a) =
        let a, b = pair context
        use a = onDevice context a
        use b = onDevice context b
        work a b

/// A set of operations by name.
[<RequireQualifiedAccess>]
module Ops =

    /// A set of these operations.
    /// Raises `LmcException` where two have one name.
    let ofList (ops: Op list) : IReadOnlyDictionary<string, Op> =
        match ops |> List.countBy _.Name |> List.tryFind (fun (_, n) -> n > 1) with
        | Some(name, n) -> raise (LmcException $"operation '{name}': expected one of that name, found {n}")
        | None -> dict [ for op in ops -> op.Name, op ] |> Dictionary :> _
