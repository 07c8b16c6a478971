module LmcDsl.Tests.Core.NetworkTests

open System
open System.Collections.Immutable
open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Runtime
open LmcDsl.Tests.Fixtures
open TorchSharp

let private network (nodes: (string * Layer * string list) list) =
    Network(
        Architecture(
            "test",
            ImmutableArray.Create(1, 2, 2),
            ImmutableArray.CreateRange [
                for name, layer, inputs in nodes -> LayerNode(name, layer, ImmutableArray.CreateRange inputs)
            ]
        )
    )

/// Hands on what it reads.
type HandsOn() =
    inherit Layer()
    override _.Wire(_, inputs) = inputs[0]
    override _.Forward(_, inputs, _) = inputs[0]

/// Gives the same tensor each time.
type Keeps() =
    inherit Layer()
    let kept = torch.ones([| 1L; 4L |]).DetachFromDisposeScope()
    member _.IsThere = not kept.IsInvalid
    override _.Wire(_, inputs) = inputs[0]
    override _.Forward(_, _, _) = kept

let tests =
    testList "Network" [
        test
            "what a layer made is freed when it was read for the last time; what it handed on, kept or was given is not" {
            let keeps = Keeps()

            let network =
                network [
                    "f", Flatten(), [ "input" ]
                    "d", Dense 4, [ "f" ]
                    "same", HandsOn(), [ "d" ]
                    "a", Activation ActivationFunction.Relu, [ "same" ]
                    "k", keeps, [ "a" ]
                    "s", Sum 3, [ "a"; "d"; "k" ]
                    "unread", Activation ActivationFunction.Relu, [ "s" ]
                    "o", Dense 3, [ "s" ]
                ]

            use parameters = randomParameters network 1L
            use x = randomInput network 5 2L

            let run () =
                let outputs = Collections.Generic.Dictionary<string, torch.Tensor>()
                let copies = Collections.Generic.Dictionary<string, torch.Tensor>()

                let tap name (output: torch.Tensor) =
                    outputs[name] <- output
                    copies[name] <- output.clone ()

                let result = network.Forward(parameters.Views, x, Mode.Evaluation, tap)
                outputs, copies, result

            for round in [ "first"; "second" ] do
                use _ = torch.NewDisposeScope()
                let outputs, copies, result = run ()
                let isFreed name = outputs[name].IsInvalid

                Expect.equal
                    [ for name in [ "d"; "same"; "a"; "k"; "s"; "unread"; "o" ] -> name, isFreed name ]
                    [ "d", false; "same", false; "a", true; "k", false; "s", true; "unread", true; "o", false ]
                    round

                Expect.isTrue (keeps.IsThere && not x.IsInvalid) "kept and given"
                let w, b = parameters["o.weight"], parameters["o.bias"]
                let expected = (copies["d"].clamp_min(0.0.ToScalar()) + copies["d"] + 1.0.ToScalar()).mm(w.t ()) + b
                Expect.isLessThan (difference result expected) 1e-5 "the network's output"

            Expect.isTrue keeps.IsThere "after the caller's scope"
        }

        test "the MLP of the papers has the parameters that PyTorch's has" {
            let mlp = Network(Catalogue.Mlp([| 1; 28; 28 |], [| 512; 512; 512 |], 10))
            // 784*512+512 + 2*(512*512+512) + 512*10+10
            Expect.equal mlp.TotalCount 932362L "counted by hand"

            Expect.equal
                [ for p in mlp.Parameters -> p.Name ]
                [
                    "fc1.weight"
                    "fc1.bias"
                    "fc2.weight"
                    "fc2.bias"
                    "fc3.weight"
                    "fc3.bias"
                    "fc4.weight"
                    "fc4.bias"
                ]
                "names"
        }

        test "its forward pass is the matrix formula" {
            use p = randomParameters smallMlp 1L
            use x = randomInput smallMlp 7 2L
            use out = smallMlp.Forward(p.Views, x)
            let layer k (x: torch.Tensor) = x.mm (p[$"fc{k}.weight"].t()) + p[$"fc{k}.bias"]
            use expected = x.flatten (1L) |> layer 1 |> _.relu() |> layer 2 |> _.relu() |> layer 3
            Expect.isLessThan (difference out expected) float32Rounding "relu(xW'+b) three times"
        }

        test "learned parameters fill the first part of the buffer, statistics the rest" {
            let net =
                network [
                    "f", Flatten(), [ "input" ]
                    "d", Dense 3, [ "f" ]
                    "n", BatchNorm(), [ "d" ]
                    "o", Dense 2, [ "n" ]
                ]

            Expect.equal net.LearnedCount (int64 (4 * 3 + 3 + 6 + 3 * 2 + 2)) "weights, biases, norm"
            Expect.equal net.TotalCount (net.LearnedCount + 6L) "and two statistics of 3"

            for p in net.Parameters do
                Expect.equal (p.Offset < net.LearnedCount) p.Learned p.Name
        }

        test "an architecture survives JSON" {
            for seed in 1..30 do
                let architecture = randomArchitecture (Random seed)
                let back = Architecture.FromJson(architecture.ToJson())
                Expect.equal (back.ToJson()) (architecture.ToJson()) "same text"
                Expect.equal (Network back).TotalCount (Network architecture).TotalCount "same network"
        }

        test "initialisation is uniform within 1/sqrt(fan in), and the seed decides it" {
            use a = ParameterSet.Initialize(smallMlp, 1L)
            use again = ParameterSet.Initialize(smallMlp, 1L)
            use other = ParameterSet.Initialize(smallMlp, 2L)
            Expect.equal (bytes a) (bytes again) "same seed, same bytes"
            Expect.notEqual (bytes a) (bytes other) "another seed, other bytes"
            let largest = a["fc1.weight"].abs().max().ToDouble()
            Expect.isLessThan largest (1.0 / sqrt 6.0) "bound of 6 inputs"
            Expect.isGreaterThan largest (0.7 / sqrt 6.0) "and near it"
        }

        test "weights are drawn evenly to both sides" {
            let wide = Network(Catalogue.Mlp([| 1; 10; 10 |], [| 100 |], 10))
            use p = ParameterSet.Initialize(wide, 1L)
            let drawn = p["fc1.weight"]
            // Uniform within 0.1: the mean of 10,000 is off by 0.0006, the deviation is 0.1 / sqrt 3.
            Expect.isLessThan (abs (drawn.mean().ToDouble())) 0.003 "mean"
            Expect.isLessThan (abs (drawn.std().ToDouble() - 0.1 / sqrt 3.0)) 0.001 "deviation"
            Expect.isGreaterThan (drawn.max().ToDouble()) 0.099 "up"
            Expect.isLessThan (drawn.min().ToDouble()) -0.099 "down"
        }

        test "two architectures of one name are two" {
            let one name units =
                let layers: (string * Layer * string list) list =
                    [ "f", Flatten(), [ "input" ]; "d", Dense units, [ "f" ] ]

                ParameterSet.Initialize(network layers, 1L), name

            let (a, _), (b, _) = one "x" 3, one "x" 4
            failsWith [ "one architecture" ] (fun () -> ParameterSet.RequireSameArchitecture(a, b))
        }

        test "each layer computes its formula, worked out entry by entry" {
            use _ = torch.NewDisposeScope()
            let size, channels, side = 2, 3, 4
            use generator = Seeds.Generator(1L, "layers")
            let draw (shape: int64 list) = torch.randn (Array.ofList shape, generator = generator)
            let x = draw [ int64 size; int64 channels; int64 side; int64 side ]

            // A tensor as a function of where.
            let entries (t: torch.Tensor) =
                let values, shape = t.contiguous().data<float32>().ToArray(), List.ofArray t.shape
                fun (at: int list) -> float values[List.fold2 (fun k size i -> k * int size + i) 0 shape at]

            let image = entries x
            let at n c i j = if i < 0 || j < 0 || i >= side || j >= side then 0.0 else image [ n; c; i; j ]

            let check
                (layer: Layer)
                (parameters: torch.Tensor list)
                rows
                columns
                (wanted: int -> int -> int -> int -> float)
                =
                use out = layer.Forward(Array.ofList parameters, [| x |], Mode.Evaluation)
                Expect.equal (out.shape[2], out.shape[3]) (int64 rows, int64 columns) $"{layer}: size"
                let entry = entries out

                for n in 0 .. size - 1 do
                    for c in 0 .. int out.shape[1] - 1 do
                        for i in 0 .. rows - 1 do
                            for j in 0 .. columns - 1 do
                                let found = entry [ n; c; i; j ]
                                Expect.isLessThan (abs (found - wanted n c i j)) 1e-4 $"{layer} at {n}, {c}, {i}, {j}"

            let window n c i j =
                [
                    for di in 0..1 do
                        for dj in 0..1 -> at n c (2 * i + di) (2 * j + dj)
                ]

            check (Pooling PoolingFunction.Max) [] 2 2 (fun n c i j -> List.max (window n c i j))
            check (Pooling PoolingFunction.Average) [] 2 2 (fun n c i j -> List.average (window n c i j))
            check (Pooling(PoolingFunction.First, 1, 2)) [] 2 2 (fun n c i j -> at n c (2 * i) (2 * j))

            let all n =
                [
                    for c in 0 .. channels - 1 do
                        for i in 0 .. side - 1 do
                            for j in 0 .. side - 1 -> at n c i j
                ]

            let ofChannel n c =
                [
                    for i in 0 .. side - 1 do
                        for j in 0 .. side - 1 -> at n c i j
                ]

            check (Pooling(PoolingFunction.Average, 0)) [] 1 1 (fun n c _ _ -> List.average (ofChannel n c))
            check (Activation ActivationFunction.Relu) [] side side (fun n c i j -> max 0.0 (at n c i j))
            check (Activation ActivationFunction.Tanh) [] side side (fun n c i j -> tanh (at n c i j))
            // x Phi(x), Phi by Simpson's rule.
            let density t = exp (-t * t / 2.0) / sqrt (2.0 * Math.PI)
            let steps = 200

            let distribution z =
                let h = z / float steps

                let weight k =
                    if k = 0 || k = steps then 1.0
                    elif k % 2 = 1 then 4.0
                    else 2.0

                0.5 + h / 3.0 * List.sum [ for k in 0..steps -> weight k * density (float k * h) ]

            check (Activation ActivationFunction.Gelu) [] side side (fun n c i j ->
                at n c i j * distribution (at n c i j))

            let scale, shift = draw [ int64 channels ], draw [ int64 channels ]
            let scaleOf, shiftOf = entries scale, entries shift

            let mean, spread =
                List.average, (fun xs -> let m = List.average xs in xs |> List.averageBy (fun x -> (x - m) ** 2.0))

            check (GroupNorm()) [ scale; shift ] side side (fun n c i j ->
                (at n c i j - mean (all n)) / sqrt (spread (all n) + 1e-5) * scaleOf [ c ] + shiftOf [ c ])

            let running, variance = draw [ int64 channels ], draw([ int64 channels ]).abs() + 0.5f.ToScalar()
            let runningOf, varianceOf = entries running, entries variance

            check (BatchNorm()) [ scale; shift; running; variance ] side side (fun n c i j ->
                (at n c i j - runningOf [ c ]) / sqrt (varianceOf [ c ] + 1e-5) * scaleOf [ c ] + shiftOf [ c ])

            let weight, bias = draw [ 2L; int64 channels; 3L; 3L ], draw [ 2L ]
            let weightOf, biasOf = entries weight, entries bias

            check (Convolution(2, 3, 2, 1, true)) [ weight; bias ] 2 2 (fun n o i j ->
                biasOf [ o ]
                + List.sum [
                    for c in 0 .. channels - 1 do
                        for di in 0..2 do
                            for dj in 0..2 -> weightOf [ o; c; di; dj ] * at n c (2 * i + di - 1) (2 * j + dj - 1)
                ])

            let rows = draw [ 2L; 5L ]
            let weight, bias = draw [ 5L ], draw [ 5L ]
            let rowsOf, weightOf, biasOf = entries rows, entries weight, entries bias
            use normed = LayerNorm().Forward([| weight; bias |], [| rows |], Mode.Evaluation)
            let normedOf = entries normed

            for n in 0..1 do
                let row = [ for k in 0..4 -> rowsOf [ n; k ] ]

                for k in 0..4 do
                    let wanted = (row[k] - mean row) / sqrt (spread row + 1e-5) * weightOf [ k ] + biasOf [ k ]
                    Expect.isLessThan (abs (normedOf [ n; k ] - wanted)) 1e-4 "layer norm"
        }

        testList "mistakes are told with the layer's name" [
            test "a dense layer on an image" {
                failsWith [ "one axis"; "flatten"; "[1, 2, 3]" ] (fun () ->
                    network [ "d", Dense 3, [ "input" ] ] |> ignore)
            }
            test "a sum of two sizes" {
                failsWith [ "layer 's'"; "[3]"; "[4]" ] (fun () ->
                    network [ "f", Flatten(), [ "input" ]; "a", Dense 3, [ "f" ]; "s", Sum(), [ "a"; "f" ] ] |> ignore)
            }
            test "an input that is not there" {
                failsWith [ "layer 'd'"; "'x'" ] (fun () -> network [ "d", Dense 3, [ "x" ] ] |> ignore)
            }
            test "a name given twice" {
                failsWith [ "layer 'f'"; "taken" ] (fun () ->
                    network [ "f", Flatten(), [ "input" ]; "f", Dense 3, [ "f" ] ] |> ignore)
            }
            test "parameters of another number or type" {
                let wrong (count: int64) (kind: torch.ScalarType) () =
                    new ParameterSet(smallMlp, torch.zeros(count).``to`` kind) |> ignore

                let right = smallMlp.TotalCount
                failsWith [ "mlp 5-4"; $"[{right}]"; $"[{right + 1L}]" ] (wrong (right + 1L) torch.ScalarType.Float32)
                failsWith [ "Float32"; "Float64" ] (wrong right torch.ScalarType.Float64)
            }
            test "text that is no architecture" {
                failsWith [ "architecture" ] (fun () -> Architecture.FromJson "{\"name\":1" |> ignore)
                failsWith [ "architecture"; "nodes" ] (fun () -> Architecture.FromJson "{\"name\":\"x\"}" |> ignore)
            }
        ]
    ]
