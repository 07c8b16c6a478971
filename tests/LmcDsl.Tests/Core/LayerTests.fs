module LmcDsl.Tests.Core.LayerTests

open System
open System.Security.Cryptography
open System.Text
open Expecto
open LmcDsl
open LmcDsl.Core.Architectures
open LmcDsl.Core.Checkpoints
open LmcDsl.Core.Matching
open LmcDsl.Core.Merging
open LmcDsl.Core.Permutations
open LmcDsl.Core.Spectra
open LmcDsl.Tests.Fixtures
open TorchSharp

/// A layer as a script writes one: each unit times a learned gain and a constant.
type Gain(factor: float, bias: bool) =
    inherit Layer()

    /// What every output is multiplied by.
    member _.Factor = factor

    /// Whether there is a bias.
    member _.Bias = bias

    override _.Wire(wiring, inputs) =
        let units = inputs[0].Axes[0]
        wiring.Parameter("gain", ParameterRole.NormWeight, Initializer.Ones, 1, units)

        if bias then
            wiring.Parameter("shift", ParameterRole.NormBias, Initializer.Zeros, 1, units)

        inputs[0]

    override _.Forward(parameters, inputs, _) =
        let scaled = inputs[0] * parameters[0] * factor.ToScalar()
        if bias then scaled + parameters[1] else scaled

/// A dense layer with its weight the other way round, its norm's statistics, and an optional argument as F# has it.
type Mixing(units: int, ?momentum: float) =
    inherit Layer()
    member _.Units = units
    member _.Momentum = defaultArg momentum 0.5
    override _.Version = 2
    override _.Title = "mixing"

    override _.Wire(wiring, inputs) =
        let output, input = wiring.Fresh units, inputs[0].Axes[0]
        wiring.Parameter("mix", ParameterRole.Weight, Initializer.UniformFanIn, input.Size, output, input)
        wiring.Parameter("offset", ParameterRole.Bias, Initializer.Zeros, 1, output)
        Signal.Of output

    override _.Forward(parameters, inputs, _) = inputs[0].mm(parameters[0].t()) + parameters[1]
    override _.Linear = LinearMap("mix", "offset", fun input -> input.t ())

/// The absolute value.
type Absolute() =
    inherit Layer()
    override _.Wire(_, inputs) = inputs[0]
    override _.Forward(_, inputs, _) = inputs[0].abs()
    override _.Lipschitz = Nullable 1.0

/// Says another shape than it computes.
type Lying() =
    inherit Layer()
    override _.Wire(_, inputs) = inputs[0]
    override _.Forward(_, inputs, _) = inputs[0].narrow(1L, 0L, 1L)

/// Cannot be saved: what its argument was is not to be seen.
type Secret(size: int) =
    inherit Layer()
    override _.Wire(_, inputs) = inputs[0]
    override _.Forward(_, inputs, _) = inputs[0] * size.ToScalar()

/// Known by its name before any instance was made.
type Unmade(size: int) =
    inherit Layer()
    member _.Size = size
    override _.Wire(_, inputs) = inputs[0]
    override _.Forward(_, inputs, _) = inputs[0]

let private own () =
    let chain = Chain()
    chain.Add("flatten", Flatten()) |> ignore
    chain.Add("first", Mixing 5) |> ignore
    chain.Add("absolute", Absolute()) |> ignore
    chain.Add("gain", Gain(0.5, true)) |> ignore
    chain.Add("second", Mixing(4, 0.25)) |> ignore
    chain.Add("norm", BatchNorm()) |> ignore
    chain.Add("out", Dense 3) |> ignore
    chain.Build("own", [| 1; 2; 3 |])

let private sha256 (text: string) = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes text))

/// All that follows from a network's wiring, in words.
let private symmetry (architecture: Architecture) =
    let network = Network architecture

    [
        for group in network.Groups do
            let axes = [ for axis in group.Axes -> $"{axis.Parameter}.{axis.Dimension}.{axis.Block}" ]
            $"""{group.Name} {group.Units}: {String.concat " " axes}"""

        for output in network.Outputs do
            let axes = [ for axis in output.Axes -> $"{axis.Size}.{axis.Group}.{axis.Block}" ]
            $"""{output.Node}: {String.concat " " axes}"""

        for tap in network.Taps do
            $"{tap.Group} {tap.Node} {tap.Dimension} {tap.Block}"

        for p in network.Parameters do
            let shape = p.Shape |> Seq.map string |> String.concat "."
            $"{p.Name} {p.Role} {p.Initializer} {p.FanIn} {p.Offset} {shape}"
    ]
    |> String.concat "\n"

let private every =
    """{"name":"every","input":[3,8,8],"nodes":[{"name":"c","layer":{"kind":"convolution","channels":4,"kernel":3,"stride":1,"padding":1,"bias":false,"groups":1},"inputs":["input"]},{"name":"n","layer":{"kind":"batchNorm","momentum":0.1,"epsilon":1E-05},"inputs":["c"]},{"name":"d","layer":{"kind":"convolution","channels":4,"kernel":1,"stride":1,"padding":0,"bias":true,"groups":1},"inputs":["n"]},{"name":"g","layer":{"kind":"groupNorm","groups":1,"epsilon":1E-05},"inputs":["d"]},{"name":"s","layer":{"kind":"sum","arity":2},"inputs":["g","n"]},{"name":"p","layer":{"kind":"pooling","function":"First","kernel":1,"stride":2},"inputs":["s"]},{"name":"f","layer":{"kind":"flatten"},"inputs":["p"]},{"name":"e","layer":{"kind":"dense","units":5,"bias":true},"inputs":["f"]},{"name":"l","layer":{"kind":"layerNorm","epsilon":1E-05},"inputs":["e"]},{"name":"a","layer":{"kind":"activation","function":"Gelu"},"inputs":["l"]},{"name":"o","layer":{"kind":"dense","units":2,"bias":false},"inputs":["a"]}]}"""

/// Networks with the SHA-256 of their JSON, which stands in the keys of stored results, and of what follows from their wiring.
let private golden =
    let cifar = [| 3; 32; 32 |]
    let vgg11 norm = Catalogue.Vgg11(cifar, 1.0, 10, norm)
    let vgg16 norm = Catalogue.Vgg16(cifar, 0.25, 10, norm)
    let resnet20 norm = Catalogue.ResNet20(cifar, 1.0, 10, norm)
    let resnet50 norm = Catalogue.ResNet50([| 3; 64; 64 |], 1.0, 1000, norm)

    [
        "mlp 512-512-512",
        Catalogue.Mlp([| 1; 28; 28 |], [| 512; 512; 512 |], 10),
        "39a321e5cc779617a4990314e4fbd8affc753e35e1af6dd0e6c3110d592321c4",
        "a5794235db303d1bbec2feebb2dbb2a37a0eb0a4f7da4126ad8f18f83f064fc8"
        "mlp 5-4",
        Catalogue.Mlp([| 1; 2; 3 |], [| 5; 4 |], 3),
        "47a5e38040c22cc9e72564ab93cd0c630a55126619deb6426f2398a096daf56e",
        "551fc00b3ef4b680c38799137bbec17f7c17d5c9c681514301831b82528adba0"
        "vgg11 batch",
        vgg11 Norm.Batch,
        "3a3194d699d6a4963e134d648fae1b575af51fc13b7f4794c927898d4a050198",
        "888f216c288964b2d3deb1c641756fde8fff478e8ea17c8ef93316a1d8e2fa0d"
        "vgg16 batch",
        vgg16 Norm.Batch,
        "bafb4c429c9c9c0cd0d212a3deec7550ea73c453ee07788d2ec031c98e4178b7",
        "394ce22073580676c04b308c9b9180ed66139d9c3572331b57d4b6c9d6ff6809"
        "resnet20 batch",
        resnet20 Norm.Batch,
        "f72bde507c28d0514b1ec4839ffacdaa2b3adf9c72650a48cba439348e832a48",
        "c1afb43e8db8543982e78f23cea7e45e6175a16616d8f534f9a71df1f4fef0fb"
        "resnet50 batch",
        resnet50 Norm.Batch,
        "c2c7418cebf0b363ad93ad483b92002d5d7ff13cfafb4a856d9e624a63e80913",
        "28c0614136c6bd5c294cfcee2cd512090944708dae204a362736ba97051a83b9"
        "vgg11 layer",
        vgg11 Norm.Layer,
        "16c5ccf1092ebf630d32c7c6e45df8111603c51f39188b35447c0e667d4b827e",
        "c1249cde09c3801da1918d1ab346eaa3c407c3e6cb9b8965057f03779b2fd84d"
        "vgg16 layer",
        vgg16 Norm.Layer,
        "2256ff5f9a4d566570a4630e742a44175dc78fc018cc82c1e97b88db32c61ebc",
        "0d419c061c2334b5badc48e499cd28ad63ca3443f6a3d511e2f7a8fd85d7d5a2"
        "resnet20 layer",
        resnet20 Norm.Layer,
        "eec172720236dea993c78e263e632e0b7a3145941068638fc66474f9e7d98b82",
        "cf0ffae5123f77149b6ba43d4b6fea84d37cac336e6f88b001211ec4216c3c53"
        "resnet50 layer",
        resnet50 Norm.Layer,
        "edb449cc0eb92349bcbbff8598a7c3c48649c29c83878ac5211bf06928e6069f",
        "a7bec66a7f74a4a9f60bef7ce953cc5fc1bbb34a882cca07bcd4bef16d91182e"
        "vgg11 none",
        vgg11 Norm.None,
        "ae40ac8ae999b2c4ab7efde87576e827c0251522f0cf59351a86c14270a87637",
        "b6fa6b1e2ca30dc4645e49dfaeaa75bfec0a9d786e686b64bc39beb399938f7c"
        "vgg16 none",
        vgg16 Norm.None,
        "30191603c89b1d822a8a2d64ba483c067d45c2f5a31d93b9a23e74707799fa44",
        "cc5a38b735775b7df79b4b4b04332837550e3f18d9950920bbfd75abf83b87e8"
        "resnet20 none",
        resnet20 Norm.None,
        "73bf118551b23a86dc98bdd41dfdbc5b224f50ca85b039a7f209a69e7bb4d12f",
        "48672301b9cf3dd3b5f223fc95a4d7e1e795318c423764350665c6a852e7d823"
        "resnet50 none",
        resnet50 Norm.None,
        "ce4204e727836cd35373f9fe49e0122cc108807e399bd6a4f621b2a5255c6f8d",
        "40c7e7fdb652dffeea86490b4a60c4c7acb5c54b8e2dda1a70150cadf3026bd0"
        "every kind",
        Architecture.FromJson every,
        sha256 every,
        "0fbd07a8176b6438502a32ccb9b98d9eb01782b43cf07eb47a0d4e65d29c4a0d"
    ]

let tests =
    testList "Layers" [
        for name, architecture, json, wired in golden do
            test $"the description of {name} is what stored results are known by" {
                Expect.equal (sha256 (architecture.ToJson())) json "JSON"
                Expect.equal (sha256 (symmetry architecture)) wired "parameters, groups, taps"
            }

        test "a layer of a script is written by what its constructor takes, and read back" {
            let json = (own ()).ToJson()

            for part in
                [
                    """{"kind":"mixing","version":2,"units":5,"momentum":0.5}"""
                    """{"kind":"gain","factor":0.5,"bias":true}"""
                    """{"kind":"mixing","version":2,"units":4,"momentum":0.25}"""
                    """{"kind":"absolute"}"""
                ] do
                Expect.stringContains json part "fields"

            let back = Architecture.FromJson json
            Expect.equal (back.ToJson()) json "the same text"
            Expect.equal (back.Nodes[4].Layer :?> Mixing).Momentum 0.25 "the same layer"
            use a = ParameterSet.Initialize(Network(own ()), 1L)
            use b = ParameterSet.Initialize(Network back, 1L)
            use x = randomInput a.Network 4 2L
            use left = a.Network.Forward(a.Views, x)
            use right = b.Network.Forward(b.Views, x)
            Expect.equal (difference left right) 0.0 "the same function"
        }

        test "a kind is known by registration alone" {
            Layer.Register<Unmade>()

            let architecture =
                Architecture.FromJson
                    """{"name":"x","input":[3],"nodes":[{"name":"a","layer":{"kind":"unmade","size":3},"inputs":["input"]}]}"""

            Expect.equal (architecture.Nodes[0].Layer :?> Unmade).Size 3 "read"
        }

        test "a layer of a script has its groups, keeps the law, and is matched, merged, measured and saved" {
            use _ = torch.NewDisposeScope()
            let network = Network(own ())
            Expect.equal [ for g in network.Groups -> g.Name, g.Units ] [ "first", 5; "second", 4 ] "its units"
            Expect.equal (Option.ofNullable (SymmetryCheck.FirstBreak network)) None "the law"
            let a = randomParameters network 1L
            let moved = PermutationSet.Random(network, 3L).Apply a
            let found = WeightMatching.Match(a, moved)
            Expect.equal (difference (found.Permutations.Apply moved).Flat a.Flat) 0.0 "matched with its own copy"
            let task = toyTask network 64 5L

            for layer in LayerBound.Between(a, randomParameters network 2L, task, 0.3) do
                Expect.isLessThanOrEqual layer.LargestRatio 1.001 $"the bound of {layer.Name}"

            Expect.equal
                [ for layer in LayerBound.Between(a, a, task, 0.3) -> layer.Name ]
                [ "first"; "second"; "out" ]
                "layers with a weight"

            let before = a["norm.running_mean"].clone()
            StatisticsReset.Apply(a, task)
            Expect.isGreaterThan (difference before a["norm.running_mean"]) 0.0 "statistics"
            let b = randomParameters network 2L
            let merged = Average.Of [| a; b |]
            Renormalisation.Apply(merged, [| a; b |], task)
            use file = new IO.MemoryStream()
            ModelFile.Write(file, merged)
            use back = ModelFile.Read(ReadOnlySpan(file.ToArray()), "own.safetensors")
            Expect.equal (bytes back) (bytes merged) "the same numbers"
            Expect.equal (back.Network.Architecture.ToJson()) ((own ()).ToJson()) "and network"
        }

        test "a network shows a layer by its title" {
            let table = Describe.table (own ())
            Expect.equal table.Rows[1] [ "first"; "mixing"; "[5 first]"; "mix [5 first, 6]; offset [5 first]" ] "row"
            Expect.equal table.Rows[3].[1] "Gain" "the class's name where it has none"
        }

        testList "mistakes in layers of one's own" [
            test "a kind that is not known, with the nearest" {
                failsWith [ "layer 'a'"; "'dence'"; "nearest: dense"; "registered" ] (fun () ->
                    Architecture.FromJson
                        """{"name":"x","input":[3],"nodes":[{"name":"a","layer":{"kind":"dence","units":3},"inputs":["input"]}]}"""
                    |> ignore)
            }
            test "another version of the layer" {
                failsWith [ "layer 'a'"; "mixing"; "version 2"; "found 1" ] (fun () ->
                    Layer.Register<Mixing>()

                    Architecture.FromJson
                        """{"name":"x","input":[3],"nodes":[{"name":"a","layer":{"kind":"mixing","units":3},"inputs":["input"]}]}"""
                    |> ignore)
            }
            test "an argument that cannot be seen from outside" {
                let chain = Chain()
                chain.Add("a", Secret 3) |> ignore
                failsWith [ "secret"; "'size'"; "property" ] (fun () -> chain.Build("x", [| 3 |]).ToJson() |> ignore)
            }
            test "an output of another shape than was wired" {
                let chain = Chain()
                chain.Add("a", Lying()) |> ignore
                let network = Network(chain.Build("x", [| 3 |]))
                use p = ParameterSet.Initialize(network, 1L)
                use x = randomInput network 2 1L

                failsWith [ "layer 'a'"; "[-1, 3]"; "[2, 1]" ] (fun () -> network.Forward(p.Views, x) |> ignore)
            }
        ]
    ]
