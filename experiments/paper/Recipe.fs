namespace LmcDsl.Paper

open LmcDsl
open LmcDsl.Core.Architectures
open LmcDsl.Core.Matching
open LmcDsl.Core.Training

/// A network on a data set, as tables call it, with the recipe that trains it and how thoroughly it is measured.
type Recipe =
    {
        /// For example `VGG11 / CIFAR-10`.
        Title: string
        /// How it is trained.
        Setup: Setup
        /// How many models of it, with seeds from 0 on, an experiment may ask for.
        Models: int
        /// Lambdas of a barrier curve.
        Points: int
        /// Training images on which merged networks' batch-norm statistics are recomputed.
        ResetOn: int
        /// Steps of the searches by gradient.
        Steps: int
        /// Test images whose layer inputs are looked at.
        Inputs: int
        /// Whether the straight-through estimator with a free copy is measured beside that over Sinkhorn logits.
        FreeCopy: bool
    }

    /// Models of the recipe, with the label `network` on every row.
    member this.Train: Setup -> Population = train >> labelled "network" this.Title >> repairOn this.ResetOn

    /// The barrier on the recipe's grid.
    member this.Barrier = BarrierOnTest this.Points

    /// Weight matching by Sinkhorn relaxation with the recipe's steps.
    member this.SinkhornWM = sinkhornMatching (SinkhornMatchingOptions(Steps = this.Steps))

    /// The straight-through estimator with the recipe's steps.
    member this.STE = straightThrough (StraightThroughOptions(Steps = this.Steps))

    /// The straight-through searches that the recipe measures.
    member this.StraightThrough: Search list =
        let free = if this.FreeCopy then [ this.STE ] else []
        free @ [ this.SinkhornSTE ]

    /// The straight-through estimator over Sinkhorn logits with the recipe's steps.
    member this.SinkhornSTE = sinkhornStraightThrough (SinkhornStraightThroughOptions(Steps = this.Steps))

/// The recipes of 2402.04051's experiments, after those of Git Re-Basin (2209.04836) and REPAIR (2211.08403), at three scales.
[<RequireQualifiedAccess>]
module Recipe =

    /// The MLP with three hidden layers of 512 (of 32 for smoke): Adam at 1e-3, batches of 500.
    let mlp (scale: Scale) (data: DataSet) : Recipe =
        let hidden, part, epochs, steps, models =
            match scale.Size with
            | Smoke -> 32, Part(data, 2000, 500), 2, 20, 10
            | Laptop -> 512, data, 100, 200, 10
            | Paper -> 512, data, 100, 500, 10

        {
            Title = $"MLP / {data.Title}"
            Setup =
                scale.Adapt
                    { Setup.standard with
                        Data = part
                        Network = Networks.mlp [ hidden; hidden; hidden ]
                        Epochs = epochs
                        BatchSize = 500
                    }
            Models = models
            Points = (if scale.Size = Smoke then 5 else 25)
            ResetOn = 10_000
            Steps = steps
            Inputs = (if scale.Size = Smoke then 500 else 10_000)
            FreeCopy = true
        }

    // SGD with momentum, the rate rising over the first tenth of the steps and falling linearly, flips and crops.
    let private convolutional title network rate scale epochs steps =
        let data, batch, points, resetOn, inputs =
            match scale.Size with
            | Smoke -> Part(Cifar10, 200, 100), 100, 3, 200, 50
            | Laptop -> Cifar10, 500, 9, 2_000, 500
            | Paper -> Cifar10, 500, 25, 10_000, 2_000

        {
            Title = $"{title} / CIFAR-10"
            Setup =
                scale.Adapt
                    { Setup.standard with
                        Data = data
                        Network = network
                        Epochs = epochs
                        BatchSize = batch
                        LearningRate = rate
                        WeightDecay = 5e-4
                        Optimizer = Sgd 0.9
                        Schedule = LinearUpDown 0.1
                        Augmentation = Augmentation.FlipCrop
                        // Hours on two cores are a third fewer so.
                        Precision = (if scale.Size = Laptop then Precision.Mixed else Precision.Float32)
                    }
            Models = (if scale.Size = Size.Paper then 10 else 3)
            Points = points
            ResetOn = resetOn
            Steps = steps
            Inputs = inputs
            FreeCopy = (scale.Size = Size.Paper)
        }

    /// An MLP's recipe at another width.
    let ofWidth (width: int) (recipe: Recipe) : Recipe =
        { recipe with
            Title = recipe.Title.Replace("MLP", $"MLP {width}")
            Setup = { recipe.Setup with Network = Networks.mlp [ width; width; width ] }
        }

    /// VGG11 with batch norm on CIFAR-10.
    let vgg11 (scale: Scale) : Recipe =
        match scale.Size with
        | Smoke -> convolutional "VGG11" (Networks.vgg11 0.0625 Norm.Batch) 0.1 scale 1 2
        | Laptop -> convolutional "VGG11" (Networks.vgg11 1.0 Norm.Batch) 0.08 scale 15 200
        | Paper -> convolutional "VGG11" (Networks.vgg11 1.0 Norm.Batch) 0.08 scale 100 500

    /// ResNet20 with batch norm on CIFAR-10.
    let resnet20 (scale: Scale) : Recipe =
        match scale.Size with
        | Smoke -> convolutional "ResNet20" (Networks.resnet20 0.25 Norm.Batch) 0.1 scale 1 2
        | Laptop -> convolutional "ResNet20" (Networks.resnet20 2.0 Norm.Batch) 0.4 scale 20 80
        | Paper -> convolutional "ResNet20" (Networks.resnet20 16.0 Norm.Batch) 0.4 scale 100 500

    /// Both MLPs.
    let mlps scale = [ mlp scale Mnist; mlp scale FashionMnist ]

    /// The four networks of the paper's tables.
    let all scale = mlps scale @ [ vgg11 scale; resnet20 scale ]

    /// Seeds of independent pairs of a recipe's models: (0, 1), (2, 3), ... where there are enough models, else every pair of them.
    let seedPairs (recipe: Recipe) : int64 list list =
        if recipe.Models >= 6 then
            [ for k in 0..2 .. recipe.Models - 2 -> [ int64 k; int64 k + 1L ] ]
        else
            [
                for i in 0 .. recipe.Models - 1 do
                    for j in i + 1 .. recipe.Models - 1 do
                        [ int64 i; int64 j ]
            ]

    /// Seeds of three triples of a recipe's models that share no model where there are enough, else of its first three models, each in
    /// turn the one that the others are aligned to.
    let seedTriples (recipe: Recipe) : int64 list list =
        if recipe.Models >= 9 then
            [ [ 0L; 1L; 2L ]; [ 3L; 4L; 5L ]; [ 6L; 7L; 8L ] ]
        else
            [ [ 0L; 1L; 2L ]; [ 1L; 2L; 0L ]; [ 2L; 0L; 1L ] ]

    /// Seeds of all models of a recipe, three times: each of the first three in turn is the one that the others are aligned to.
    let seedTurns (recipe: Recipe) : int64 list list =
        let seeds = [ 0L .. int64 recipe.Models - 1L ]
        [ for turn in 0..2 -> List.skip turn seeds @ List.take turn seeds ]
