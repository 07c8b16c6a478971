module LmcDsl.Tests.Core.SymmetryTests

open System
open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Permutations
open LmcDsl.Tests.Fixtures
open TorchSharp

let private outputs (network: Network) (parameters: ParameterSet) (x: torch.Tensor) mode =
    use _ = torch.no_grad ()
    use copy = parameters.Clone() // training mode moves running statistics
    network.Forward(copy.Views, x, mode)

let private relative (a: torch.Tensor) (b: torch.Tensor) = difference a b / max 1.0 (a.abs().max().ToDouble())

// Of layers with weights of their own, and of such that take them as signals.
let private drawn (seed: int) =
    if seed % 3 = 0 then
        randomSignals (Random seed)
    else
        randomArchitecture (Random seed)

/// A layer that says it follows its units' order and does not: the first unit is doubled.
type private Lopsided() =
    inherit Layer()
    override _.Wire(_, inputs) = inputs[0]

    override _.Forward(_, inputs, _) =
        let y = inputs[0].clone()
        y.select(1L, 0L).mul_(2f.ToScalar()) |> ignore
        y

/// How far a chain of layers between two dense ones keeps the law.
let private measured (layers: (string * Layer) list) =
    let chain = Chain()
    chain.Add("flatten", Flatten()) |> ignore
    chain.Add("fc1", Dense 8) |> ignore

    for name, layer in layers do
        chain.Add(name, layer) |> ignore

    chain.Add("sign", Elementary ElementaryFunction.Sign) |> ignore
    chain.Add("fc2", Dense 3) |> ignore
    use model = ParameterSet.Initialize(Network(chain.Build("chain", [| 1; 2; 4 |])), 1L)
    let struct (largest, nodes) = SymmetryCheck.Measure model
    Expect.equal nodes (4 + layers.Length) "all nodes"
    largest

let tests =
    testList "Symmetry" [
        testPropertyWithConfig
            (config 60)
            "a permutation drawn from the derived groups leaves the function as it is, in both modes"
        <| fun (seed: int) ->
            use _ = torch.NewDisposeScope()
            let network = Network(drawn seed)
            use p = randomParameters network (int64 seed)
            use moved = PermutationSet.Random(network, int64 seed).Apply p
            let x = randomInput network 9 (int64 seed)

            for mode in [ Mode.Evaluation; Mode.Training ] do
                Expect.isLessThan (relative (outputs network p x mode) (outputs network moved x mode)) 1e-3 $"{mode}"

        test "the random architectures have every layer of the library, concatenations and orders within copies" {
            let drawn = [ for seed in 1..450 -> drawn seed ]

            let kinds =
                set [
                    for a in drawn @ [ for seed in 1..100 -> randomTransformer (Random seed) ] do
                        for node in a.Nodes -> node.Layer.GetType().Name
                ]

            let library =
                set [
                    for t in typeof<Layer>.Assembly.GetTypes() do
                        // One layer stands for what is not known, and cannot be computed.
                        if t.IsSubclassOf typeof<Layer> && not t.IsAbstract && t <> typeof<Opaque> then
                            t.Name
                ]

            Expect.isEmpty (library - kinds) "never drawn"
            let groups = [ for a in drawn -> (Network a).Groups ]
            let share some = groups |> List.filter (Seq.exists some) |> List.length
            Expect.isGreaterThan (share (fun g -> g.Parent >= 0)) 20 "orders within copies"
            Expect.isGreaterThan (share (fun g -> g.Axes |> Seq.exists (fun a -> a.Offset > 0))) 20 "parts"

            Expect.isGreaterThan
                (share (fun g ->
                    g.Axes |> Seq.exists (fun a -> a.Copies |> Seq.exists (fun c -> c.Dimension <> a.Dimension))))
                20
                "copies along another axis than their units"
        }

        test "a description of any of them is read back as it was written" {
            for seed in 1..100 do
                let text = (randomSignals (Random seed)).ToJson()
                Expect.equal ((Architecture.FromJson text).ToJson()) text "the same"
        }

        test "most permutations that are not of a group change the function" {
            // The law above could hold for want of any symmetry; this one shows that the groups are not too small a set
            // to matter: swapping two units of one axis only is noticed.
            use p = randomParameters smallMlp 5L
            use broken = p.Clone()
            use rows = Permutation([ 1; 0; 2; 3; 4 ]).Apply(p["fc1.weight"])
            broken["fc1.weight"].copy_ rows |> ignore
            use x = randomInput smallMlp 9 6L

            Expect.isGreaterThan
                (difference (smallMlp.Forward(p.Views, x)) (smallMlp.Forward(broken.Views, x)))
                1e-3
                "changed"
        }

        test "what is summed with the input keeps the input's order, on either side of the sum" {
            for sides in [ "\"a\",\"input\""; "\"input\",\"a\"" ] do
                let network =
                    Network(
                        Architecture.FromJson
                            $$"""{"name":"past","input":[6],"nodes":[
                               {"name":"a","layer":{"kind":"dense","units":6,"bias":true},"inputs":["input"]},
                               {"name":"s","layer":{"kind":"sum"},"inputs":[{{sides}}]},
                               {"name":"b","layer":{"kind":"dense","units":4,"bias":true},"inputs":["s"]},
                               {"name":"o","layer":{"kind":"dense","units":3,"bias":true},"inputs":["b"]}]}"""
                    )

                Expect.equal [ for g in network.Groups -> g.Name ] [ "b" ] sides
        }

        test "the groups of an MLP are its hidden layers, with the axes counted by hand" {
            let groups = smallMlp.Groups
            Expect.equal [ for g in groups -> g.Name, g.Units ] [ "fc1", 5; "fc2", 4 ] "two hidden layers"
            let name (a: PermutedAxis) = $"{smallMlp.Parameters[a.Parameter].Name}/{a.Dimension}"
            Expect.equal [ for a in groups[0].Axes -> name a ] [ "fc1.weight/0"; "fc1.bias/0"; "fc2.weight/1" ] "first"
            Expect.equal [ for a in groups[1].Axes -> name a ] [ "fc2.weight/0"; "fc2.bias/0"; "fc3.weight/1" ] "second"
        }

        testPropertyWithConfig (config 60) "inputs and outputs are never permuted"
        <| fun (seed: int) ->
            let network = Network(randomArchitecture (Random seed))
            let nodes = network.Architecture.Nodes
            let last = nodes[nodes.Length - 1].Name

            // Weights that read the input itself, or its flattened copy.
            let reads (sources: string list) =
                [
                    for n in nodes do
                        if Seq.exists (fun i -> List.contains i sources) n.Inputs then
                            n
                ]

            let direct = reads [ Architecture.InputName ]

            let flattened =
                [
                    for n in direct do
                        if n.Layer :? Flatten then
                            n.Name
                ]

            let readers = [ for n in direct @ reads flattened -> n.Name + ".weight" ]

            for group in network.Groups do
                for axis in group.Axes do
                    let name = network.Parameters[axis.Parameter].Name
                    let isOutput = name.StartsWith(last + ".") && axis.Dimension = 0
                    let isInput = List.contains name readers && axis.Dimension = 1
                    Expect.isFalse (isOutput || isInput) $"{name} dimension {axis.Dimension}"

        test "a residual sum joins its two sides into one group" {
            let network =
                Network(
                    Architecture.FromJson
                        """{"name":"residual","input":[2],"nodes":[
                           {"name":"a","layer":{"kind":"dense","units":3,"bias":true},"inputs":["input"]},
                           {"name":"b","layer":{"kind":"dense","units":3,"bias":true},"inputs":["a"]},
                           {"name":"s","layer":{"kind":"sum"},"inputs":["a","b"]},
                           {"name":"o","layer":{"kind":"dense","units":2,"bias":true},"inputs":["s"]}]}"""
                )

            Expect.equal network.Groups.Length 1 "a and b share their units"
            Expect.equal network.Groups[0].Axes.Length 6 "a: weight 0 and bias, b: weight 0, 1 and bias, o: weight 1"
        }

        test "each hidden layer of an MLP has one tap, the input of the next weights" {
            Expect.equal
                [ for t in smallMlp.Taps -> t.Group, t.Node, t.Dimension, t.Block ]
                [ 0, "relu1", 1, 1; 1, "relu2", 1, 1 ]
                "after the activations"
        }

        test "a layer that breaks the law is told, and so is one whose numbers are none, whatever comes after" {
            let root = "root", Elementary ElementaryFunction.SquareRoot :> Layer
            let lopsided = "lopsided", Lopsided() :> Layer
            let kept = measured [ "relu", Activation ActivationFunction.Relu ]
            Expect.isLessThanOrEqual kept.Error SymmetryCheck.Tolerance "kept"
            let broken = measured [ lopsided ]
            Expect.equal broken.Node "lopsided" "where it is"
            Expect.isGreaterThan broken.Error 0.1 "broken"

            // Roots of negative numbers: what is none is told, and no later node takes its place.
            for layers in [ [ root ]; [ lopsided; root ]; [ root; lopsided ] ] do
                let found = measured layers
                Expect.equal found.Node "root" $"{layers}"
                Expect.isTrue (System.Double.IsNaN found.Error) $"{layers}"
        }
    ]
