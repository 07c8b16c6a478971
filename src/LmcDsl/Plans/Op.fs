namespace LmcDsl

open System
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
        /// The number that is followed, where there is one: a loss, an objective.
        Value: float option
    }

/// What an operation has at hand while it runs.
type OpContext =
    {
        /// The step's arguments.
        Args: Json
        /// The values of its inputs, in order; freed by the runner.
        Inputs: Value list
        /// Whether the inputs are read for this step alone, which may then change them.
        OwnsInputs: bool
        /// The step's data set on its device, read once for a run; freed by the runner.
        Data: unit -> ImageData
        /// Tells how far it is. Cheap; may be called at every step.
        Progress: Progress -> unit
        /// Keeps where the step stands, so that a killed one goes on from there.
        SavePartial: byte[] -> unit
        /// Where the step stood when it was killed.
        LoadPartial: unit -> byte[] option
        /// Notes something for the record beside the value: times, counts. Never part of the value.
        Note: string * Json -> unit
        /// Keeps a further value that was found on the way, as that of the operation on this step alone: who asks for it later finds it
        /// made. It must follow from the step's key.
        Keep: Op -> Value -> unit
        /// Ends the step when asked to.
        Cancel: CancellationToken
    }

/// An operation: a kind of step. Equal where name and version are.
and [<CustomEquality; NoComparison>] Op =
    {
        /// Its name, for keys and rows.
        Name: string
        /// The version of its meaning, raised when that changes.
        Version: int
        /// About how long it takes, in seconds: of the quickstart's steps, on two cores.
        Seconds: float
        /// Makes the value.
        Run: OpContext -> Value
        /// What a report's tables show of its rows.
        Shows: Report -> Quantity list
        /// What a report's page draws of its rows.
        Draws: Report -> Figure list
        /// Where the code is, to tell two operations of one name apart.
        Code: Type
        /// What the code took from around it, where it is a script's: part of the key.
        Captured: string
    }

    override this.Equals other =
        match other with
        | :? Op as op -> op.Name = this.Name && op.Version = this.Version && op.Captured = this.Captured
        | _ -> false

    override this.GetHashCode() = hash (this.Name, this.Version)

/// Making operations.
[<RequireQualifiedAccess>]
module Op =

    /// The same operation, whose code is a function that a script may have written.
    let internal written (run: obj) (op: Op) : Op = { op with Code = run.GetType(); Captured = Captured.by run }

    /// An operation that nothing is shown of.
    let make (name: string) (version: int) (seconds: float) (run: OpContext -> Value) : Op =
        {
            Name = name
            Version = version
            Seconds = seconds
            Run = run
            Shows = fun _ -> []
            Draws = fun _ -> []
            Code = run.GetType()
            Captured = Captured.by run
        }

    /// Whether it takes so long that it is worth a place of its own.
    let internal isLong (op: Op) : bool = op.Seconds >= 2.0

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
module Take =

    /// Training examples of the step's data set.
    let train (context: OpContext) = context.Data().Train

    /// Test examples of the step's data set.
    let test (context: OpContext) = context.Data().Test

    /// The split that the arguments name, `train` or `test`.
    let split (context: OpContext) = if context.Args["split"].String = "train" then train context else test context

    /// A copy on the device that the arguments name.
    let onDevice (context: OpContext) (model: ParameterSet) =
        model.To(TorchRuntime.Device context.Args["device"].String)

    /// The first two inputs, which must be models.
    let pair (context: OpContext) =
        match context.Inputs with
        | Parameters a :: Parameters b :: _ -> a, b
        | _ -> raise (LmcException "expected 2 models first")

    /// The only input, which must be a model.
    let model (context: OpContext) =
        match context.Inputs with
        | [ Parameters model ] -> model
        | _ -> raise (LmcException "expected 1 model")

    /// Does something with a copy of the only input on the device.
    let modelOnDevice (context: OpContext) (work: ParameterSet -> 'a) =
        use model = model context |> onDevice context
        work model

    /// Does something with copies of the first two inputs on the device.
    let pairOnDevice (context: OpContext) (work: ParameterSet -> ParameterSet -> 'a) =
        let a, b = pair context
        use a = onDevice context a
        use b = onDevice context b
        work a b

    /// Tells which share is done, in words.
    let tell (context: OpContext) (words: string) (share: float) =
        context.Progress { Share = share; Text = words; Value = None }

    /// Tells the number that is followed as well.
    let tellValue (context: OpContext) (words: string) (value: float) (share: float) =
        context.Progress { Share = share; Text = words; Value = Some value }
