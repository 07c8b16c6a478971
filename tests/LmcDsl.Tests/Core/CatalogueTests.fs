module LmcDsl.Tests.Core.CatalogueTests

open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Matching
open LmcDsl.Core.Measures
open LmcDsl.Core.Permutations
open LmcDsl.Tests.Fixtures
open TorchSharp

let private cifar = [| 3; 32; 32 |]
let private mnist = [| 1; 28; 28 |]

let private imageNet (name: string) norm = Catalogue.Named(name, [| 3; 224; 224 |], 1.0, 1000, norm)

/// Every entry, its number of permutation groups counted by hand, and its number of parameters as PyTorch's versions have.
let private entries: (string * (Norm -> Architecture) * int * int64 option) list =
    [
        "mlp", (fun _ -> Catalogue.Mlp(mnist, [| 512; 512; 512 |], 10)), 3, Some 932362L
        // 8 convolutions of 3x3: 9 * (3*64 + 64*128 + 128*256 + 256*256 + 256*512 + 3*512*512), 2 * 2752 norms, 5130.
        "vgg11", (fun norm -> Catalogue.Vgg11(cifar, 1.0, 10, norm)), 8, Some 9228362L
        "vgg16", (fun norm -> Catalogue.Vgg16(cifar, 1.0, 10, norm)), 13, Some 14724042L
        "resnet20", (fun norm -> Catalogue.ResNet20(cifar, 1.0, 10, norm)), 12, Some 272474L
        "resnet50", (fun norm -> Catalogue.ResNet50([| 3; 64; 64 |], 1.0, 1000, norm)), 37, Some 25557032L
        // As torchvision's documentation has them; groups are the inner convolutions of blocks, and the stages.
        "resnet18", imageNet "resnet18", 12, Some 11689512L
        "resnet34", imageNet "resnet34", 20, Some 21797672L
        "resnet101", imageNet "resnet101", 71, Some 44549160L
        "resnet152", imageNet "resnet152", 105, Some 60192808L
        "vgg11-imagenet", imageNet "vgg11-imagenet", 10, Some 132868840L
        "vgg13-imagenet", imageNet "vgg13-imagenet", 12, Some 133053736L
        "vgg16-imagenet", imageNet "vgg16-imagenet", 15, Some 138365992L
        "vgg19-imagenet", imageNet "vgg19-imagenet", 18, Some 143678248L
        // 1512.03385, table 6: 0.27, 0.46 and 0.85 million with shortcuts of option A.
        "resnet56", (fun norm -> Catalogue.ResNetCifar(56, cifar, 1.0, 10, norm)), 30, None
        "vgg19", (fun norm -> Catalogue.Vgg(19, cifar, 1.0, 10, norm)), 16, None
    ]

let private small: (string * (Norm -> Architecture)) list =
    [
        "vgg11 x0.125", fun norm -> Catalogue.Vgg11(cifar, 0.125, 10, norm)
        "vgg16 x0.125", fun norm -> Catalogue.Vgg16(cifar, 0.125, 10, norm)
        "resnet20 x0.5", fun norm -> Catalogue.ResNet20(cifar, 0.5, 10, norm)
        "resnet50 x0.0625", fun norm -> Catalogue.ResNet50([| 3; 32; 32 |], 0.0625, 10, norm)
    ]

let private norms = [ Norm.Batch; Norm.Layer; Norm.None ]

let tests =
    testList "Catalogue" [
        for name, make, groups, parameters in entries do
            test $"{name} has {groups} permutation groups, with every norm" {
                for norm in norms do
                    Expect.equal (Network(make norm)).Groups.Length groups $"{norm}"
            }

            test $"{name} has the parameters of its paper" {
                match parameters with
                | Some count -> Expect.equal (Network(make Norm.Batch)).LearnedCount count "learned"
                | None -> ()
            }

        test "the stages of ResNet20 are shared: one group holds the stem and all of stage 1" {
            let network = Network(Catalogue.ResNet20(cifar))
            let stem = network.Groups |> Seq.find (fun g -> g.Name = "stem")
            let weights = [ for a in stem.Axes -> network.Parameters[a.Parameter].Name, a.Dimension ]

            for expected in
                [
                    "stem.weight", 0
                    "stage1.1.conv1.weight", 1
                    "stage1.1.conv2.weight", 0
                    "stage1.3.conv2.weight", 0
                    "stage2.1.conv1.weight", 1
                    "stage2.1.shortcut.weight", 1
                    "stem.norm.running_var", 0
                ] do
                Expect.contains weights expected "shares the stem's order"
        }

        for name, make in small do
            test $"a permutation leaves {name} as it is, in both modes and with every norm" {
                for norm in norms do
                    use _ = torch.NewDisposeScope()
                    use _ = torch.no_grad ()
                    let network = Network(make norm)
                    use p = randomParameters network 1L
                    use moved = PermutationSet.Random(network, 2L).Apply p
                    let x = randomInput network 2 3L

                    for mode in [ Mode.Evaluation; Mode.Training ] do
                        use a = p.Clone()
                        use b = moved.Clone()
                        let left, right = network.Forward(a.Views, x, mode), network.Forward(b.Views, x, mode)
                        let size = max 1.0 (left.abs().max().ToDouble())
                        Expect.isLessThan (difference left right / size) 1e-3 $"{norm}, {mode}"
            }

            test $"matching {name} never raises L2" {
                let network = Network(make Norm.Batch)
                use a = ParameterSet.Initialize(network, 1L)
                use b = ParameterSet.Initialize(network, 2L)
                let found = WeightMatching.Match(a, b)
                use moved = found.Permutations.Apply b
                Expect.isLessThan (Distance.L2(a, moved)) (Distance.L2(a, b)) "nearer"
                Expect.equal found.Stopped StopReason.NothingChanged "to a local optimum"
            }

        test "what cannot be built is refused by name" {
            failsWith [ "vgg11"; "found"; "0" ] (fun () -> Catalogue.Vgg11(cifar, 0.001) |> ignore)

            failsWith [ "layer 'conv1'"; "groups that divide 3 inputs and 4 outputs"; "found 2" ] (fun () ->
                Network(
                    Architecture.FromJson
                        """{"name":"x","input":[3,4,4],"nodes":[{"name":"conv1","layer":{"kind":"convolution","channels":4,"groups":2},"inputs":["input"]}]}"""
                )
                |> ignore)

            failsWith [ "layer 'pool5'"; "shrinks" ] (fun () -> Network(Catalogue.Vgg11([| 3; 16; 16 |])) |> ignore)
        }
    ]
