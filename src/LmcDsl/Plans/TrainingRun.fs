namespace LmcDsl

open System
open System.IO
open LmcDsl.Core.Architectures
open LmcDsl.Core.Checkpoints
open LmcDsl.Core.Runtime
open LmcDsl.Core.Training

/// Training one model, as the step's arguments say.
[<RequireQualifiedAccess>]
module internal TrainingRun =

    /// Trains, or goes on from where it stood. The caller frees the state.
    let run (context: OpContext) : TrainingState =
        let args = context.Args
        let options = Json.toValue<TrainingOptions> args["training"]
        let seed = args["seed"].Int64
        let device = TorchRuntime.Device args["device"].String
        let data = context.Data()

        let start =
            match context.LoadPartial() with
            | Some kept -> ModelFile.ReadState(ReadOnlySpan kept, "unfinished training", device)
            | None ->
                let architecture = Architecture.FromJson(Json.text args["architecture"])
                TrainingState.Start(Network architecture, options.FirstSeed seed, device)

        let save (state: TrainingState) =
            if state.Epoch < options.Epochs then
                use stream = new MemoryStream()
                ModelFile.Write(stream, state)
                context.SavePartial(stream.ToArray())

        let tell (p: TrainingProgress) =
            (float p.Epoch + float p.Step / float p.Steps) / float options.Epochs
            |> Take.tellValue context $"epoch {p.Epoch + 1}/{options.Epochs}, loss {Number.fixedPoint 4 p.Loss}" p.Loss

        Trainer.Run(start, data.Train, options, seed, save, tell, context.Cancel)
