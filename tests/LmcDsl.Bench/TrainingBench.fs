/// An epoch of training, beside a bare TorchSharp loop of the same network.
module LmcDsl.Bench.TrainingBench

open LmcDsl
open LmcDsl.Core.Architectures
open LmcDsl.Core.Data
open LmcDsl.Core.Training
open TorchSharp
open type TorchSharp.torch.nn

let private batch = 128

/// What somebody would write who knows TorchSharp and nothing of this project.
let private bareEpoch (data: DataSplit) =
    use model =
        Sequential(
            struct ("flatten", Flatten() :> Module<torch.Tensor, torch.Tensor>),
            struct ("fc1", Linear(784L, 512L) :> Module<torch.Tensor, torch.Tensor>),
            struct ("relu1", ReLU() :> Module<torch.Tensor, torch.Tensor>),
            struct ("fc2", Linear(512L, 512L) :> Module<torch.Tensor, torch.Tensor>),
            struct ("relu2", ReLU() :> Module<torch.Tensor, torch.Tensor>),
            struct ("fc3", Linear(512L, 512L) :> Module<torch.Tensor, torch.Tensor>),
            struct ("relu3", ReLU() :> Module<torch.Tensor, torch.Tensor>),
            struct ("fc4", Linear(512L, 10L) :> Module<torch.Tensor, torch.Tensor>)
        )

    use optimiser = torch.optim.Adam(model.parameters (), 1e-3)
    use order = torch.randperm data.Count
    let mutable loss = 0.0

    for step in 0L .. data.Count / int64 batch - 1L do
        use _ = torch.NewDisposeScope()
        let chosen = order.narrow (0L, step * int64 batch, int64 batch)
        optimiser.zero_grad ()
        let output = model.forward (data.Images.index_select (0L, chosen))
        let value = functional.cross_entropy (output, data.Labels.index_select (0L, chosen))
        value.backward ()
        optimiser.step () |> ignore
        loss <- loss + value.ToDouble()

    loss

let private ourEpoch (network: Network) (data: DataSplit) options =
    use state = Trainer.Run(TrainingState.Start(network, 0L, torch.CPU), data, options, 0L)

    state.Epoch

let private mlpEpoch () =
    let images = torch.randn (60000L, 1L, 28L, 28L)
    let labels = torch.randint (10L, [| 60000L |])
    let data = new DataSplit(images, labels)
    let network = Network(mlp [ 512; 512; 512 ] FashionMnist)

    {
        Name = "training, MLP 784-512x3-10, Adam, one epoch"
        N = 60000
        Ours =
            fun () -> Timing.seconds (fun () -> ourEpoch network data (TrainingOptions(Epochs = 1, BatchSize = batch)))
        Reference = "bare TorchSharp loop"
        Theirs = fun () -> Timing.seconds (fun () -> bareEpoch data)
        Rounds = 5
    }

let private resnetEpoch () =
    let data = new DataSplit(torch.randn (1280L, 3L, 32L, 32L), torch.randint (10L, [| 1280L |]))
    let network = Network(resnet20 1.0 Norm.Batch Cifar10)
    let options = TrainingOptions(Epochs = 1, BatchSize = batch, LearningRate = 0.1, Optimizer = Sgd 0.9)

    {
        Name = "training, ResNet20 on 32x32, SGD, 10 steps"
        N = 1280
        Ours = fun () -> Timing.seconds (fun () -> ourEpoch network data options)
        Reference = "bare TorchSharp loop"
        Theirs = fun () -> Timing.seconds (fun () -> BareResNet.epoch batch data)
        Rounds = 5
    }

/// Products in bfloat16 beside the same training in float32.
let private mixed name (network: DataSet -> Architecture) () =
    let data = new DataSplit(torch.randn (1280L, 3L, 32L, 32L), torch.randint (10L, [| 1280L |]))
    let network = Network(network Cifar10)

    let epoch precision () =
        let options =
            TrainingOptions(
                Epochs = 1,
                BatchSize = batch,
                LearningRate = 0.01,
                Optimizer = Sgd 0.9,
                Precision = precision
            )

        Timing.seconds (fun () -> ourEpoch network data options)

    {
        Name = $"training, {name} on 32x32, mixed precision, 10 steps"
        N = 1280
        Ours = epoch Precision.Mixed
        Reference = "float32"
        Theirs = epoch Precision.Float32
        Rounds = 3
    }

/// The MLP of the papers on the shape of MNIST, 60,000 images; ResNet20 on the shape of CIFAR-10, 1,280.
let comparisons: (unit -> Comparison) list =
    [
        mlpEpoch
        resnetEpoch
        mixed "VGG11 x1" (vgg11 1.0 Norm.Batch)
        mixed "ResNet20 x2" (resnet20 2.0 Norm.Batch)
    ]
