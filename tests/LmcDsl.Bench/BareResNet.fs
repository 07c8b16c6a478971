/// ResNet20 as somebody would write it who knows TorchSharp and nothing of this project.
module LmcDsl.Bench.BareResNet

open LmcDsl.Core.Data
open TorchSharp
open type TorchSharp.torch.nn

type private Net = Module<torch.Tensor, torch.Tensor>

let private convolution from into kernel stride : Net list =
    [
        Conv2d(from, into, kernel, stride = stride, padding = kernel / 2L, bias = false)
        BatchNorm2d into
    ]

type private Block(from: int64, into: int64, stride: int64) as this =
    inherit Module<torch.Tensor, torch.Tensor>("block")

    let branch =
        Sequential(convolution from into 3L stride @ [ ReLU() ] @ convolution into into 3L 1L |> List.toArray)

    let shortcut = Sequential((if from = into then [] else convolution from into 1L stride) |> List.toArray)
    do this.RegisterComponents()

    override _.forward x =
        let way = if from = into then x else shortcut.forward x
        functional.relu (branch.forward x + way)

let private make () =
    let stages: Net list =
        [
            for from, into, stride in [ 16L, 16L, 1L; 16L, 32L, 2L; 32L, 64L, 2L ] do
                new Block(from, into, stride)
                new Block(into, into, 1L)
                new Block(into, into, 1L)
        ]

    Sequential(
        convolution 3L 16L 3L 1L @ [ ReLU() ] @ stages @ [ AdaptiveAvgPool2d 1L; Flatten(); Linear(64L, 10L) ]
        |> List.toArray
    )

/// An epoch of SGD with momentum; gives the sum of the losses.
let epoch (batch: int) (data: DataSplit) : float =
    use model = make ()
    use optimiser = torch.optim.SGD(model.parameters (), 0.1, momentum = 0.9)
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
