/// Pairs of models trained on real data for a bench, kept in files so that they are trained once.
module LmcDsl.Bench.Weights

open System
open System.IO
open LmcDsl
open LmcDsl.Core.Architectures
open LmcDsl.Core.Checkpoints
open LmcDsl.Core.Data
open LmcDsl.Core.Training
open TorchSharp

/// Where they are kept.
let mutable folder = Path.Combine("results", "bench", "weights")

let private trainOne (network: Network) (data: DataSplit) options seed name =
    let path = Path.Combine(folder, $"{name}-{seed}.safetensors")

    if not (File.Exists path) then
        Console.Error.WriteLine $"training {name}, seed {seed} ..."
        use state = Trainer.Run(TrainingState.Start(network, seed, torch.CPU), data, options, seed)
        AtomicFile.write path (fun stream -> ModelFile.Write(stream, state.Parameters))

    ModelFile.Read(ReadOnlySpan(File.ReadAllBytes path), path)

let private pair dataset examples name (architecture: Architecture) options =
    let network = Network architecture
    use data = DataSet.load dataset
    use few = data.Train.First(min (int64 examples) data.Train.Count)
    trainOne network few options 0L name, trainOne network few options 1L name

let private briefly = TrainingOptions(Epochs = 2, BatchSize = 100, LearningRate = 0.05, Optimizer = Sgd 0.9)

/// So many of the images that the MLPs were trained on.
let fashion (count: int) =
    use data = DataSet.load FashionMnist

    data.Train.First(int64 count)

/// So many images of CIFAR-10.
let cifar (count: int) =
    use data = DataSet.load Cifar10
    data.Train.First(int64 count)

/// MLPs 784-n-n-n-10 on Fashion-MNIST: ten epochs at width 512, one for wider ones.
let mlps width =
    let epochs = if width <= 512 then 10 else 1
    let examples = if width <= 2048 then 60_000 else 10_000
    let options = TrainingOptions(Epochs = epochs, BatchSize = 128)
    pair FashionMnist examples $"mlp-{width}" (mlp [ width; width; width ] FashionMnist) options

/// MLPs with so many hidden layers of width n, one epoch on 10,000 images of Fashion-MNIST: all alike but for their size.
let alike depth width =
    let options = TrainingOptions(Epochs = 1, BatchSize = 128)
    pair FashionMnist 10_000 $"mlp-{depth}x{width}" (mlp (List.replicate depth width) FashionMnist) options

/// VGG11 on 2,000 images of CIFAR-10, two epochs.
let vggs () = pair Cifar10 2_000 "vgg11" (vgg11 1.0 Norm.Batch Cifar10) briefly

/// ResNet20 on so many images of CIFAR-10, two epochs.
let resnets width examples =
    pair Cifar10 examples $"resnet20-{width}" (resnet20 (float width) Norm.Batch Cifar10) briefly

/// MLPs 784-512-512-512-10 on MNIST, ten epochs.
let mnist () =
    pair Mnist 60_000 "mlp-mnist" (mlp [ 512; 512; 512 ] Mnist) (TrainingOptions(Epochs = 10, BatchSize = 128))

let private longer epochs =
    TrainingOptions(
        Epochs = epochs,
        BatchSize = 100,
        LearningRate = 0.1,
        Optimizer = Sgd 0.9,
        WeightDecay = 1e-4,
        Schedule = Cosine 0.1,
        Augmentation = Augmentation.FlipCrop
    )

/// VGG11 at a quarter of its width on all images of CIFAR-10, so many epochs.
let narrowVggs epochs = pair Cifar10 50_000 $"vgg11-quarter-{epochs}" (vgg11 0.25 Norm.Batch Cifar10) (longer epochs)

/// ResNet20 on so many images of CIFAR-10, so many epochs.
let trainedResnets width examples epochs =
    pair
        Cifar10
        examples
        $"resnet20-{width}-{examples}x{epochs}"
        (resnet20 (float width) Norm.Batch Cifar10)
        (longer epochs)

/// Three language models by characters, as experiments/text.fsx trains them, with the test split and their number of heads.
let languageModels () =
    let size = { Layers = 4; Width = 128; Heads = 4; Context = 128 }
    let network = Network(gpt size TinyShakespeare)
    let options = TrainingOptions(Epochs = 2, BatchSize = 32, LearningRate = 2e-3, Schedule = Cosine 0.05)
    use data = DataSet.load TinyShakespeare
    let models = [ for seed in 0L .. 2L -> trainOne network data.Train options seed "gpt-4x128" ]
    new DataSplit(data.Test.Images.clone (), data.Test.Labels.clone ()), size.Heads, models

/// The three language models of the published row by byte pairs, as experiments/publishedRow.fsx trains them at laptop scale.
let publishedModels () =
    let size = { Layers = 6; Width = 256; Heads = 4; Context = 256 }
    let network = Network(gpt size TinyShakespeareBytePairs)

    let options =
        TrainingOptions(
            Epochs = 10,
            BatchSize = 32,
            LearningRate = 3e-4,
            WeightDecay = 0.01,
            Optimizer = AdamW(),
            Schedule = Cosine 0.05,
            Precision = Precision.Mixed
        )

    use data = DataSet.load (DataSet.fitting network.Architecture.Input TinyShakespeareBytePairs)
    let models = [ for seed in 0L .. 2L -> trainOne network data.Train options seed "gpt-6x256-byte-pairs" ]
    new DataSplit(data.Test.Images.clone (), data.Test.Labels.clone ()), size.Heads, models
