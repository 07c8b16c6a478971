namespace LmcDsl.Beyond

open LmcDsl
open LmcDsl.Core.Architectures
open LmcDsl.Core.Training
open LmcDsl.Paper

/// The networks of the experiments beyond the paper, at three scales: some minutes on one core, hours on two, and a day and more.
[<RequireQualifiedAccess>]
module Setting =

    /// An MLP on Fashion-MNIST that weight matching leaves a barrier to, so that there is something to explain: hidden layers of 48 on a part
    /// of the images, of 128, of 512.
    let mlp (scale: Scale) : Recipe =
        let hidden, data, epochs, batch, steps, points =
            match scale.Size with
            | Smoke -> 48, Part(FashionMnist, 6000, 2000), 10, 100, 60, 9
            | Laptop -> 128, FashionMnist, 20, 500, 200, 25
            | Paper -> 512, FashionMnist, 100, 500, 500, 25

        {
            Title = $"MLP {hidden} / Fashion-MNIST"
            Setup =
                scale.Adapt
                    { Setup.standard with
                        Data = data
                        Network = Networks.mlp [ hidden; hidden; hidden ]
                        Epochs = epochs
                        BatchSize = batch
                    }
            Models = 10
            Points = points
            ResetOn = 10_000
            Steps = steps
            Inputs = 2_000
            FreeCopy = true
        }

    /// Five pairs of models that share none.
    let pairsOfSeeds: int64 list list = [ for k in 0L..2L..8L -> [ k; k + 1L ] ]

    /// The same where each costs much: three of them at the smallest scale.
    let somePairs (scale: Scale) = if scale.Size = Smoke then List.truncate 3 pairsOfSeeds else pairsOfSeeds

    /// Three convolutions with batch norm, pooled, and a dense layer: 32, 64 and 64 channels times the width.
    let convolutional (width: float) (data: DataSet) : Architecture =
        let chain = Chain()

        for k, channels in [ 1, 32; 2, 64; 3, 64 ] do
            chain.Add($"conv{k}", Convolution(max 1 (int (float channels * width)))) |> ignore
            chain.Add($"norm{k}", BatchNorm()) |> ignore
            chain.Add($"relu{k}", Activation ActivationFunction.Relu) |> ignore
            chain.Add($"pool{k}", Pooling PoolingFunction.Max) |> ignore

        chain.Add("flatten", Flatten()) |> ignore
        chain.Add("fc", Dense data.Classes) |> ignore
        chain.Build($"conv x{Number.shortest width}", List.toArray data.Shape)

    /// That network on Fashion-MNIST: SGD with momentum, the rate rising and falling linearly.
    let conv (scale: Scale) : Recipe =
        let data, epochs, batch, resetOn =
            match scale.Size with
            | Smoke -> Part(FashionMnist, 3000, 1000), 4, 100, 1000
            | Laptop -> FashionMnist, 10, 500, 5_000
            | Paper -> FashionMnist, 50, 500, 10_000

        let mlp = mlp scale

        { mlp with
            Title = "Conv / Fashion-MNIST"
            ResetOn = resetOn
            Setup =
                scale.Adapt
                    { Setup.standard with
                        Data = data
                        Network = convolutional 1.0
                        Epochs = epochs
                        BatchSize = batch
                        LearningRate = 0.1
                        WeightDecay = 5e-4
                        Optimizer = Sgd 0.9
                        Schedule = LinearUpDown 0.1
                    }
        }

    /// The mean of so many models and the models' own scores, and some measures of pairs of `most`, each by the stage that aligns so many;
    /// pairs that do not hold the first model were seen by no search of two.
    let meansOf
        (turns: int64 list list)
        (numbers: int list)
        (unseen: (int * int) list)
        (ofPairs: Metric list)
        (models: Setup -> Population)
        (setup: Setup)
        (aligned: int -> Population -> Population)
        : Plan<Report> list =
        [
            setup
            |> (sweepOver "models merged" string numbers (fun n -> models >> aligned n >> mergeN n >> measure Accuracy)
                |> sweep SeedsOf turns)
            setup |> (models >> aligned (List.max numbers) >> pairs unseen >> measureAll ofPairs |> sweep SeedsOf turns)
        ]
