module LmcDsl.Tests.Core.PointwiseTests

open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Training
open TorchSharp

/// A 1x1 convolution as the network's layer computes it, beside Torch's own in channels-first order: outputs, and the gradients of images,
/// weight and bias of a sum weighted at random. The largest differences, relative to the largest number.
let private differences (batch: int64) (inputs: int64) outputs (height: int64) (width: int64) stride bias =
    use _ = torch.NewDisposeScope()
    use generator = new torch.Generator(7UL, torch.CPU)
    let draw (shape: int64 list) = torch.randn (List.toArray shape, generator = generator)

    let values =
        [
            draw [ batch; inputs; height; width ]
            draw [ int64 outputs; inputs; 1L; 1L ] / sqrt (float inputs)
        ]

    let values = if bias then values @ [ draw [ int64 outputs ] ] else values
    let layer = Convolution(outputs, 1, stride, 0, bias)

    let ours (leaves: torch.Tensor list) = layer.Forward(List.toArray leaves.Tail, [| leaves.Head |], Mode.Training)

    let theirs (leaves: torch.Tensor list) =
        let bias = if bias then leaves[2] else null
        let step = [| int64 stride; int64 stride |]
        torch.nn.functional.conv2d (leaves[0], leaves[1], bias, strides = step)

    let along (compute: torch.Tensor list -> torch.Tensor) =
        let leaves = values |> List.map _.clone().requires_grad_()
        let output = compute leaves
        use again = new torch.Generator(8UL, torch.CPU)
        let weights = torch.randn (output.shape, generator = again)
        let gradients = torch.autograd.grad ([| (output * weights).sum() |], List.toArray leaves)
        output :: List.ofSeq gradients

    List.map2
        (fun (mine: torch.Tensor) (other: torch.Tensor) ->
            Expect.equal mine.shape other.shape "shape"
            (mine - other).abs().max().ToDouble() / other.abs().max().ToDouble())
        (along ours)
        (along theirs)

let tests =
    testList "Pointwise" [
        for stride in [ 1; 2 ] do
            test $"512 to 1,024 channels at 8x8, batch 8, stride {stride}, is Torch's own, with its gradients" {
                for difference in differences 8L 512L 1024 8L 8L stride false do
                    Expect.isLessThan difference 1e-5 "equal"
            }

        test "sizes that a stride does not divide, with a bias" {
            for height, width, stride in [ 7L, 5L, 2; 7L, 5L, 3; 1L, 1L, 2; 4L, 6L, 5 ] do
                for difference in differences 3L 6L 9 height width stride true do
                    Expect.isLessThan difference 1e-5 $"{height}x{width}, stride {stride}"
        }

        test "groups compute with their own channels" {
            use _ = torch.NewDisposeScope()
            let images, weight, bias = torch.randn (2L, 6L, 5L, 4L), torch.randn (9L, 2L, 1L, 1L), torch.randn 9L
            let expected = torch.nn.functional.conv2d (images, weight, bias, strides = [| 2L; 2L |], groups = 3L)
            let found = Pointwise.Convolve(images, weight, bias, 2)
            Expect.equal found.shape expected.shape "shape"
            Expect.isLessThan ((found - expected).abs().max().ToDouble()) 1e-5 "equal"
        }

        test "the output has each position's channels side by side, so that what follows need not copy" {
            use _ = torch.NewDisposeScope()
            let found = Pointwise.Convolve(torch.randn (2L, 6L, 4L, 4L), torch.randn (3L, 6L, 1L, 1L), null, 1)
            Expect.isTrue (found.permute(0L, 2L, 3L, 1L).is_contiguous()) "channels last"
        }

        test "ResNet50 goes forward and backward" {
            use _ = torch.NewDisposeScope()
            let network = Network(Catalogue.ResNet50([| 3; 32; 32 |], 1.0, 10, Norm.Batch))
            use model = ParameterSet.Initialize(network, 0L)
            let images, labels = torch.randn (2L, 3L, 32L, 32L), torch.tensor [| 1L; 7L |]
            let struct (loss, gradients) = Gradients.Of(model, images, labels)
            Expect.isTrue (System.Double.IsFinite loss) "a loss"

            for gradient in gradients do
                Expect.isTrue (gradient.isfinite().all().ToBoolean()) "a gradient"

            Expect.isGreaterThan (gradients[0].abs().max().ToDouble()) 0.0 "of something"
        }
    ]
