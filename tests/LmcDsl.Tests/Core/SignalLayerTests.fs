/// Layers that take signals as weights, and those that move entries: what they give, beside Torch's own or counted by hand.
module LmcDsl.Tests.Core.SignalLayerTests

open System
open System.Collections.Immutable
open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Tests.Fixtures
open TorchSharp

let private ints (items: int list) = ImmutableArray.CreateRange items

let private tensor (shape: int64 list) (values: float32 list) =
    torch.tensor(List.toArray values).reshape(List.toArray shape)

/// What a layer gives of one example's signals.
let private gives (layer: Layer) (inputs: torch.Tensor list) =
    layer.Forward([||], [| for input in inputs -> input.unsqueeze 0L |], Mode.Evaluation)[0]

let private like (found: torch.Tensor) (wanted: torch.Tensor) what =
    Expect.equal (List.ofArray found.shape) (List.ofArray wanted.shape) $"{what}: shape"
    Expect.isLessThan (difference (found.``to`` (torch.float32)) (wanted.``to`` (torch.float32))) 1e-5 what

let private counting (shape: int64 list) = tensor shape [ for k in 1L .. List.fold (*) 1L shape -> float32 (k - 1L) ]

let private random (seed: int64) (shape: int64 list) =
    use generator = LmcDsl.Core.Runtime.Seeds.Generator(seed, "test")
    torch.randn (List.toArray shape, generator = generator)

let tests =
    testList "Signal layers" [
        test "axes are moved, parted, joined, repeated, taken and put around" {
            use _ = torch.NewDisposeScope()
            let x = counting [ 2L; 3L; 4L ]
            like (gives (Transposition(ints [ 2; 0; 1 ])) [ x ]) (x.permute (2L, 0L, 1L)) "transposition"
            like (gives (Reshaping(ints [ 6; 4 ])) [ x ]) (x.reshape (6L, 4L)) "reshaping"

            like
                (gives (Gathering(1, ints [ 2; 0 ])) [ x ])
                (torch.stack ([| x.select (1L, 2L); x.select (1L, 0L) |], 1L))
                "gathering"

            like (gives (Gathering(1, ints [ 1 ], true)) [ x ]) (x.select (1L, 1L)) "one place"
            let first = x.select (1L, 0L)
            like (gives (Expansion(ints [ 3; 2; 4 ])) [ first ]) (first.expand (3L, 2L, 4L)) "expansion"
            like (gives (Slice(1, 2, 1)) [ x ]) (x.narrow (1L, 1L, 2L)) "slice"
            like (gives (Concatenation 2) [ x; x ]) (torch.cat ([| x; x |], 2L)) "concatenation"

            like
                (gives (Lookup 0) [ x; torch.tensor [| 1L; -2L; 1L |] ])
                (torch.stack ([| x[1]; x[0]; x[1] |]))
                "lookup"

            let row = tensor [ 3L ] [ 1f; 2f; 3f ]
            let padded mode value = gives (EdgePadding(ints [ 2 ], ints [ 1 ], mode, value)) [ row ]
            like (padded PaddingMode.Zeros 7.0) (tensor [ 6L ] [ 7f; 7f; 1f; 2f; 3f; 7f ]) "a number around"
            like (padded PaddingMode.Reflect 0.0) (tensor [ 6L ] [ 3f; 2f; 1f; 2f; 3f; 2f ]) "mirrored"
            like (padded PaddingMode.Replicate 0.0) (tensor [ 6L ] [ 1f; 1f; 1f; 2f; 3f; 3f ]) "the edge again"
            like (padded PaddingMode.Circular 0.0) (tensor [ 6L ] [ 2f; 3f; 1f; 2f; 3f; 1f ]) "the other side"
        }

        test "numbers are made of one, of two, of many" {
            use _ = torch.NewDisposeScope()
            let x = tensor [ 4L ] [ -1.5f; -0.25f; 0.5f; 2f ]
            let one f (a: Nullable<float>) (b: Nullable<float>) = gives (Elementary(f, a, b)) [ x ]
            let none = Nullable()

            let each f =
                x.data<float32>().ToArray() |> Array.map (float >> f >> float32) |> List.ofArray |> tensor [ 4L ]

            for f, a, b, wanted in
                [
                    ElementaryFunction.Absolute, none, none, (fun v -> abs v)
                    ElementaryFunction.Softplus, none, none, (fun v -> log (1.0 + exp v))
                    ElementaryFunction.Softsign, none, none, (fun v -> v / (1.0 + abs v))
                    ElementaryFunction.Swish, Nullable 2.0, none, (fun v -> v / (1.0 + exp (-2.0 * v)))
                    ElementaryFunction.Elu, Nullable 0.5, none, (fun v -> if v > 0.0 then v else 0.5 * (exp v - 1.0))
                    ElementaryFunction.Celu,
                    Nullable 0.5,
                    none,
                    (fun v -> max 0.0 v + min 0.0 (0.5 * (exp (v / 0.5) - 1.0)))
                    ElementaryFunction.Selu,
                    Nullable 0.5,
                    Nullable 3.0,
                    (fun v -> if v > 0.0 then 3.0 * v else 1.5 * (exp v - 1.0))
                    ElementaryFunction.LeakyRelu, Nullable 0.1, none, (fun v -> if v > 0.0 then v else 0.1 * v)
                    ElementaryFunction.ThresholdedRelu, Nullable 1.0, none, (fun v -> if v > 1.0 then v else 0.0)
                    ElementaryFunction.HardSigmoid,
                    Nullable 0.4,
                    Nullable 0.3,
                    (fun v -> max 0.0 (min 1.0 (0.4 * v + 0.3)))
                    ElementaryFunction.Clip, Nullable -1.0, Nullable 0.75, (fun v -> max -1.0 (min 0.75 v))
                    ElementaryFunction.Shrink,
                    Nullable 0.4,
                    Nullable 0.1,
                    (fun v ->
                        if v < -0.4 then v + 0.1
                        elif v > 0.4 then v - 0.1
                        else 0.0)
                ] do
                like (one f a b) (each wanted) $"{f}"

            let two f left right = gives (Arithmetic f) [ tensor [ 2L; 1L ] left; tensor [ 2L ] right ]

            like
                (two ArithmeticFunction.Subtract [ 5f; 1f ] [ 1f; 2f ])
                (tensor [ 2L; 2L ] [ 4f; 3f; 0f; -1f ])
                "difference"

            like (two ArithmeticFunction.Modulo [ -5f; 5f ] [ 3f; 4f ]) (tensor [ 2L; 2L ] [ 1f; 3f; 2f; 1f ]) "modulo"

            like
                (two ArithmeticFunction.Remainder [ -5f; 5f ] [ 3f; 4f ])
                (tensor [ 2L; 2L ] [ -2f; -1f; 2f; 1f ])
                "remainder"

            like
                (two ArithmeticFunction.Rectify [ -5f; 5f ] [ 2f; 3f ])
                (tensor [ 2L; 2L ] [ -10f; -15f; 5f; 5f ])
                "a learned slope"

            like (two ArithmeticFunction.Less [ 1f; 2f ] [ 1f; 2f ]) (tensor [ 2L; 2L ] [ 0f; 1f; 0f; 0f ]) "less"
            let mask = torch.tensor [| true; false |]

            like
                (gives (Choice()) [ mask; tensor [ 2L ] [ 1f; 2f ]; tensor [ 1L ] [ 9f ] ])
                (tensor [ 2L ] [ 1f; 9f ])
                "choice"

            like (gives (Conversion NumberType.Int64) [ x ]) (tensor [ 4L ] [ -1f; 0f; 0f; 2f ]) "conversion"
            let grid = counting [ 2L; 3L ]
            let reduced f = gives (Reduction(f, ints [ 1 ])) [ grid + 1.0f.ToScalar() ]

            for f, wanted in
                [
                    ReductionFunction.Mean, [ 2f; 5f ]
                    ReductionFunction.Sum, [ 6f; 15f ]
                    ReductionFunction.Maximum, [ 3f; 6f ]
                    ReductionFunction.Minimum, [ 1f; 4f ]
                    ReductionFunction.Product, [ 6f; 120f ]
                    ReductionFunction.AbsoluteSum, [ 6f; 15f ]
                    ReductionFunction.SquareSum, [ 14f; 77f ]
                    ReductionFunction.LogSum, [ log 6f; log 15f ]
                ] do
                like (reduced f) (tensor [ 2L ] wanted) $"{f}"

            like (gives (Softmax 0) [ grid ]) (torch.nn.functional.softmax (grid, 0L)) "softmax"
            like (gives (Softmax(1, true)) [ grid ]) (torch.nn.functional.log_softmax (grid, 1L)) "its logarithm"
            let normal = gives (Normalization(1, 1e-5, false)) [ grid + 1.0f.ToScalar() ]
            like (normal.pow(2.0f.ToScalar()).mean([| 1L |])) (torch.ones 2L) "mean square 1"
        }

        test "signals of fewer axes stand under the last ones of each example" {
            use _ = torch.NewDisposeScope()
            let examples, rows = random 8L [ 2L; 4L; 3L ], random 9L [ 2L; 3L ]
            let sum = (Arithmetic ArithmeticFunction.Add).Forward([||], [| examples; rows |], Mode.Evaluation)
            like sum (examples + rows.unsqueeze 1L) "one row for each example"
        }

        test "products of signals, and convolutions and pools of any sides, are Torch's" {
            use _ = torch.NewDisposeScope()
            let a, b = random 1L [ 2L; 3L; 4L ], random 2L [ 4L; 5L ]
            like (gives (MatrixProduct()) [ a; b ]) (a.matmul b) "matrix product"

            like
                (gives (MatrixProduct()) [ b.t (); random 3L [ 2L; 4L; 3L ] ])
                (b.t().matmul(random 3L [ 2L; 4L; 3L ]))
                "a matrix for many"

            like (gives (Einsum "abc,cd->adb") [ a; b ]) (a.matmul(b).permute(0L, 2L, 1L)) "Einstein's sum"
            let image, w, shift = random 4L [ 4L; 6L; 5L ], random 5L [ 6L; 2L; 3L; 2L ], random 6L [ 6L ]
            let layer = Correlation(ints [ 2; 1 ], ints [ 1; 0 ], ints [ 0; 1 ], ints [ 1; 2 ], 2)
            let padded = torch.nn.functional.pad (image.unsqueeze 0L, [| 0L; 1L; 1L; 0L |])

            let wanted =
                torch.nn.functional.conv2d (
                    padded,
                    w,
                    shift,
                    [| 2L; 1L |],
                    [| 0L; 0L |],
                    dilation = [| 1L; 2L |],
                    groups = 2L
                )

            like (gives layer [ image; w; shift ]) wanted[0] "correlation"
            let up = Correlation(ints [ 2; 2 ], ints [ 1; 1 ], ints [ 1; 1 ], ints [ 1; 1 ], 1, true, ints [ 1; 0 ])
            let turned = random 7L [ 4L; 3L; 3L; 3L ]

            let larger =
                torch.nn.functional.conv_transpose2d (
                    image.unsqueeze 0L,
                    turned,
                    null,
                    [| 2L; 2L |],
                    [| 1L; 1L |],
                    [| 1L; 0L |]
                )

            like (gives up [ image; turned ]) larger[0] "transposed"

            let pool f =
                gives (WindowPooling(f, ints [ 3; 2 ], ints [ 2; 1 ], ints [ 1; 0 ], ints [ 1; 0 ], ints [ 1; 1 ])) [
                    image
                ]

            let one = image.unsqueeze 0L
            let largest = torch.nn.functional.max_pool2d (one, [| 3L; 2L |], [| 2L; 1L |], [| 1L; 0L |])
            like (pool PoolingFunction.Max) (largest.squeeze 0L) "largest"
            let mean = torch.nn.functional.avg_pool2d (one, [| 3L; 2L |], [| 2L; 1L |], [| 1L; 0L |], false, false)
            like (pool PoolingFunction.Average) (mean.squeeze 0L) "mean of what is there"

            let row = tensor [ 2L ] [ 1f; 3f ]
            let resampled mode place = gives (Resampling(ints [ 4 ], mode, place)) [ row ]

            like
                (resampled ResamplingMode.Linear ResamplingPlace.HalfPixel)
                (tensor [ 4L ] [ 1f; 1.5f; 2.5f; 3f ])
                "half pixels"

            like
                (resampled ResamplingMode.Linear ResamplingPlace.AlignCorners)
                (tensor [ 4L ] [ 1f; 5f / 3f; 7f / 3f; 3f ])
                "corners"

            like
                (resampled ResamplingMode.Below ResamplingPlace.Asymmetric)
                (tensor [ 4L ] [ 1f; 1f; 3f; 3f ])
                "nearest"
        }

        test "an LSTM and a GRU are PyTorch's, and what ONNX says of them is the same" {
            use _ = torch.NewDisposeScope()
            use _ = torch.no_grad ()
            let x = random 1L [ 2L; 5L; 3L ]
            use lstm = torch.nn.LSTM(3L, 4L, batchFirst = true)
            use gru = torch.nn.GRU(3L, 4L, batchFirst = true)

            let own (m: torch.nn.Module) =
                [|
                    for name in [ "weight_ih_l0"; "weight_hh_l0"; "bias_ih_l0"; "bias_hh_l0" ] ->
                        m.get_parameter name :> torch.Tensor
                |]

            let struct (wanted, _, _) = lstm.call x
            like (Lstm(4).Forward(own lstm, [| x |], Mode.Evaluation)) wanted "LSTM"
            let struct (wantedGru, _) = gru.call x
            like (Gru(4).Forward(own gru, [| x |], Mode.Evaluation)) wantedGru "GRU"
            // Gates in ONNX's order: input, output, forget, cell, and update, reset, new.
            let reordered (m: torch.nn.Module) (order: int list) =
                [|
                    for t in own m ->
                        let parts = t.chunk (int64 order.Length, 0L)
                        torch.cat([| for k in order -> parts[k] |]).unsqueeze 0L
                |]

            let signals (m: torch.nn.Module) order starts =
                let parts = reordered m order

                [|
                    x
                    parts[0].unsqueeze 0L
                    parts[1].unsqueeze 0L
                    torch.cat([| parts[2]; parts[3] |], 1L).unsqueeze 0L
                    for _ in 1..starts do
                        torch.zeros (1L, 1L, 4L)
                |]

            let run cell inputs = Recurrence(cell).Forward([||], inputs, Mode.Evaluation).squeeze 2L
            like (run RecurrentCell.Lstm (signals lstm [ 0; 3; 1; 2 ] 2)) wanted "LSTM of signals"
            like (run RecurrentCell.GruResetAfter (signals gru [ 1; 0; 2 ] 1)) wantedGru "GRU of signals"
        }

        test "constants keep what is the same along an axis once, and what is unknown is never computed" {
            use _ = torch.NewDisposeScope()
            let mask = Constant.Of(tensor [ 2L; 2L ] [ 1f; 1f; 0f; 0f ])
            Expect.equal (List.ofSeq mask.Distinct.Value) [ 2; 1 ] "columns alike"
            like (gives mask [ torch.zeros 1L ]) (tensor [ 2L; 2L ] [ 1f; 1f; 0f; 0f ]) "its numbers"

            failsWith [ "Fourier"; "rule" ] (fun () ->
                gives (Opaque("Fourier", ints [ 2 ])) [ torch.zeros 1L ] |> ignore)

            let description values =
                $$"""{"name":"c","input":[2],"nodes":[{"name":"c","layer":{"kind":"constant","shape":[2],"values":"{{values}}"},"inputs":["input"]}]}"""

            failsWith [ "layer 'c'"; "8 bytes in base64" ] (fun () ->
                Network(Architecture.FromJson(description "AAA=")) |> ignore)

            failsWith [ "layer 'c'"; "8 bytes in base64" ] (fun () ->
                Network(Architecture.FromJson(description "none")) |> ignore)
        }
    ]
