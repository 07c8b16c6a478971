namespace LmcDsl

open LmcDsl.Core.Architectures
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
        use state = TrainingRun.run context

        // Of a training that was begun before curves were kept there is none.
        if state.Curve.Length = state.Epoch then
            context.Keep curveOp (curveValue state.Curve)

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

    // What layers of scripts and other libraries do, by kind.
    let private ownLayers (architecture: Architecture) =
        [
            for kind in architecture.Nodes |> Seq.map (fun node -> node.Layer.GetType()) |> Seq.distinct do
                match Captured.ofType kind with
                | "" -> ()
                | code -> kind.Name, Json.Text code
        ]

    let private trainOne (setup: Setup) (architecture: Architecture) layers index : Plan<Model> =
        let seed = seedOf setup.Seeds index

        let args =
            {
                Json =
                    Json.Object [
                        "architecture", Json.parse (architecture.ToJson())
                        if not (List.isEmpty layers) then
                            "layers", Json.Object layers
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
        match setup.Seeds with
        | Listed seeds when (List.distinct seeds).Length < seeds.Length ->
            let twice, _ = seeds |> List.countBy id |> List.find (fun (_, count) -> count > 1)

            raise (
                LmcException $"seeds: expected each once, found {twice} twice: a model would be measured against itself"
            )
        | _ -> ()

        let architecture = setup.Network setup.Data
        let network = Network architecture
        let setup = { setup with Data = DataSet.fitting architecture.Input setup.Data }
        (Setup.training setup).Validate()
        let one = trainOne setup architecture (ownLayers architecture)

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
            // A table of positions counts here too, though its reset does nothing: the number is in the keys of what was measured.
            ResetOn = if network.TotalCount > network.LearnedCount then Some defaultResetOn else None
            RenormaliseOn = None
            Stages = [ "train" ]
        }
