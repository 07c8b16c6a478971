namespace LmcDsl

open System
open System.IO
open LmcDsl.Core.Architectures
open LmcDsl.Core.Checkpoints
open LmcDsl.Core.Merging
open LmcDsl.Core.Runtime
open LmcDsl.Core.Training

/// The first stage of a pipeline. Each stage is a function on descriptions, so F#'s own `>>` composes them and nothing runs:
/// `train >> align WM >> mergeN 3 >> measure R` is a function from a set-up to a plan.
[<AutoOpen>]
module Training =

    /// Training examples on which merged models' batch-norm statistics are recomputed, unless told otherwise.
    let internal defaultResetOn = 10_000

    let private run (context: OpContext) =
        let args = context.Args
        let options = Json.toValue<TrainingOptions> args["training"]
        let seed = args["seed"].Int64
        let device = TorchRuntime.Device args["device"].String
        let data = context.Data()

        let start =
            match context.LoadPartial() with
            | Some kept -> ModelFile.ReadState(ReadOnlySpan kept, "unfinished training", device)
            | None ->
                TrainingState.Start(
                    Network(Architecture.FromJson(Json.text args["architecture"])),
                    options.FirstSeed seed,
                    device
                )

        let save (state: TrainingState) =
            if state.Epoch < options.Epochs then
                use stream = new MemoryStream()
                ModelFile.Write(stream, state)
                context.SavePartial(stream.ToArray())

        let tell (p: TrainingProgress) =
            (float p.Epoch + float p.Step / float p.Steps) / float options.Epochs
            |> Take.tell context $"epoch {p.Epoch + 1}/{options.Epochs}, loss {Number.fixedPoint 4 p.Loss}"

        use state = Trainer.Run(start, data.Train, options, seed, save, tell, context.Cancel)
        Parameters(state.Parameters.To TorchSharp.torch.CPU)

    let private op = Op.make "train" 2 40.0 run

    /// Whether a step trains a model.
    let internal isTraining (node: Node) : bool = node.Op = op

    let private seedOf seeds index =
        match seeds with
        | Counting -> int64 index
        | Listed seeds when index < seeds.Length -> seeds[index]
        | Listed seeds ->
            raise (
                LmcException $"seeds: expected {index + 1} or more, one for each model asked for, found {seeds.Length}"
            )

    let private trainOne (setup: Setup) (architecture: Architecture) index : Plan<Model> =
        let seed = seedOf setup.Seeds index

        let args =
            {
                Json =
                    Json.Object [
                        "architecture", Json.parse (architecture.ToJson())
                        "data", DataSet.identity setup.Data
                        "training", Json.ofValue (Setup.training setup)
                        "seed", Json.int seed
                        "device", Json.Text setup.Device
                        "threads", Json.int (int64 setup.Threads)
                    ]
                Data = Some setup.Data
            }

        Plan.make op $"train {architecture.Name} on {setup.Data.Name}, seed {seed}" args []

    /// Models that differ in seed only. Described one by one when asked for.
    /// Raises `LmcException` where an option is out of range or the network does not fit together.
    let train (setup: Setup) : Population =
        let architecture = setup.Network setup.Data
        let network = Network architecture
        (Setup.training setup).Validate()
        let one = trainOne setup architecture

        {
            Trained = one
            Member = one
            Alignment = None
            Aligned = false
            Merged = None
            MergedNaive = None
            Taken = []
            Pairs = None
            Data = setup.Data
            Device = setup.Device
            Labels = []
            ResetOn = if StatisticsReset.Concerns network then Some defaultResetOn else None
            RenormaliseOn = None
        }
