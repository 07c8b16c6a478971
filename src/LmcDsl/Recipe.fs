namespace LmcDsl

open LmcDsl.Core.Architectures
open LmcDsl.Core.Training

/// How much work an experiment of the paper is to be.
type Scale =
    /// Under a minute each: small networks on parts of the data. Shows that everything works, not what holds.
    | Smoke
    /// Two cores and an afternoon: MLPs at full size, convolutional networks narrow and trained for few epochs.
    | Laptop
    /// The recipe of the paper, for a machine with a GPU.
    | Full

/// A network on a data set, as a table calls it, with the recipe that trains it.
type Recipe =
    {
        /// For example `VGG11 / CIFAR-10`.
        Title: string
        /// How it is trained.
        Setup: Setup
        /// Lambdas of a barrier curve.
        Points: int
        /// Training images on which merged networks' batch-norm statistics are recomputed.
        ResetOn: int
        /// Steps of the straight-through search and of Sinkhorn matching.
        Steps: int
    }

/// The recipes of 2402.04051's experiments (its section 5 and appendix, after Git Re-Basin, 2209.04836, and REPAIR,
/// 2211.08403), at three scales.
[<RequireQualifiedAccess>]
module Recipe =

    let private dataTitle dataset =
        match DataSet.whole dataset with
        | Mnist -> "MNIST"
        | FashionMnist -> "Fashion-MNIST"
        | Cifar10 -> "CIFAR-10"
        | other -> DataSet.name other

    /// An MLP with three hidden layers of this width: Adam at 1e-3, batches of 500.
    let mlpOfWidth (width: int) (scale: Scale) (data: DataSet) : Recipe =
        let hidden, data, epochs, steps =
            match scale with
            | Smoke -> max 8 (width / 16), Part(data, 2000, 500), 2, 20
            | Laptop -> width, data, 20, 300
            | Full -> width, data, 100, 500

        {
            Title = $"MLP / {dataTitle data}"
            Setup =
                { Setup.standard with
                    Data = data
                    Network = mlp [ hidden; hidden; hidden ]
                    Epochs = epochs
                    BatchSize = 500
                }
            Points = (if scale = Smoke then 5 else 25)
            ResetOn = 10_000
            Steps = steps
        }

    /// The paper's MLP: three hidden layers of 512.
    let mlp scale data = mlpOfWidth 512 scale data

    // SGD with momentum, the rate rising over the first tenth of the steps and falling linearly, flips and crops.
    let private convolutional title network rate decay scale epochs steps =
        let data, batch =
            match scale with
            | Smoke -> Part(Cifar10, 500, 200), 100
            | Laptop
            | Full -> Cifar10, 500

        {
            Title = $"{title} / CIFAR-10"
            Setup =
                { Setup.standard with
                    Data = data
                    Network = network
                    Epochs = epochs
                    BatchSize = batch
                    LearningRate = rate
                    WeightDecay = decay
                    Optimizer = Sgd 0.9
                    Schedule = LinearUpDown 0.1
                    Augmentation = Augmentation.FlipCrop
                }
            Points =
                match scale with
                | Smoke -> 3
                | Laptop -> 13
                | Full -> 25
            ResetOn =
                match scale with
                | Smoke -> 200
                | Laptop -> 2_000
                | Full -> 10_000
            Steps = steps
        }

    /// VGG11 with batch norm on CIFAR-10.
    let vgg11 scale =
        match scale with
        | Smoke -> convolutional "VGG11" (Networks.vgg11 0.0625 Norm.Batch) 0.1 5e-4 Smoke 1 5
        | Laptop -> convolutional "VGG11" (Networks.vgg11 0.25 Norm.Batch) 0.1 5e-4 Laptop 15 200
        | Full -> convolutional "VGG11" (Networks.vgg11 1.0 Norm.Batch) 0.08 5e-4 Full 100 500

    /// ResNet20 with batch norm on CIFAR-10.
    let resnet20 scale =
        match scale with
        | Smoke -> convolutional "ResNet20" (Networks.resnet20 0.25 Norm.Batch) 0.1 5e-4 Smoke 1 5
        | Laptop -> convolutional "ResNet20" (Networks.resnet20 1.0 Norm.Batch) 0.4 5e-4 Laptop 8 100
        | Full -> convolutional "ResNet20" (Networks.resnet20 16.0 Norm.Batch) 0.4 5e-4 Full 100 500

    /// The four networks of the paper's tables.
    let all scale = [ mlp scale Mnist; mlp scale FashionMnist; vgg11 scale; resnet20 scale ]
