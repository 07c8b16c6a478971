namespace LmcDsl

open LmcDsl.Core.Architectures
open LmcDsl.Core.Merging
open LmcDsl.Core.Runtime

/// The first stage of a pipeline. Each stage is a function on descriptions, so F#'s own `>>` composes them and nothing runs:
/// `train >> align WM >> mergeN 3 >> measure R` is a function from a set-up to a plan.
[<AutoOpen>]
module Training =

    /// Training examples on which merged models' batch-norm statistics are recomputed, unless told otherwise.
    let internal defaultResetOn = 10_000

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
            Json.Object [
                "architecture", Json.parse (architecture.ToJson())
                "data", DataSource.identity setup.Data
                "training", Json.ofValue (Setup.training setup)
                "seed", Json.int seed
                "device", Json.Text setup.Device
                "threads", Json.int (int64 setup.Threads)
            ]

        Plan.make ("train", 2) $"train {architecture.Name} on {DataSet.name setup.Data}, seed {seed}" args []

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
            MergedAsTrained = None
            Taken = []
            Pairs = None
            Data = setup.Data
            Device = setup.Device
            Labels = []
            ResetOn = if StatisticsReset.Concerns network then Some defaultResetOn else None
            RenormaliseOn = None
        }

    /// Arguments of a step that reads a split of a population's data.
    let internal onData (population: Population) split fields =
        Json.Object(
            [
                "data", DataSource.identity population.Data
                "split", Json.Text split
                "device", Json.Text population.Device
            ]
            @ fields
        )
