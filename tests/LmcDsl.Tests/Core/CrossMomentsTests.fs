/// How units vary together where some do not vary, or vary by far less than their mean.
module LmcDsl.Tests.Core.CrossMomentsTests

open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Data
open LmcDsl.Core.Matching
open LmcDsl.Core.Measures
open LmcDsl.Core.Permutations
open LmcDsl.Core.Runtime
open LmcDsl.Tests.Fixtures
open TorchSharp

let private samples (label: string) (seed: int64) =
    use generator = Seeds.Generator(seed, label)
    torch.randn (4L, 200L, generator = generator)

let private column (values: float list) = torch.tensor(List.toArray values, dtype = torch.float32).view(-1L, 1L)

/// Moments of two models' samples, read in batches of these sizes.
let private momentsOf (x: torch.Tensor) (y: torch.Tensor) (batches: int64 list) =
    let moments = CrossMoments(int x.shape[0], torch.CPU)

    for start, count in List.zip (List.scan (+) 0L batches |> List.take batches.Length) batches do
        moments.Add(x.narrow (1L, start, count), y.narrow (1L, start, count))

    moments

let private centred (x: torch.Tensor) =
    let wide = x.``to`` torch.float64
    wide - wide.mean ([| 1L |], true)

/// Correlations by the definition, in double, of units that all vary.
let private correlation (x: torch.Tensor) (y: torch.Tensor) =
    let x, y = centred x, centred y
    let size (z: torch.Tensor) = z.square().sum(1L).sqrt()
    x.mm (y.t ()) / torch.outer (size x, size y)

let private network = Network(Catalogue.Mlp([| 1; 2; 4 |], [| 8 |], 3))

let private data = lazy (new DataSplit(randomInput network 1000 3L, torch.zeros (1000L, torch.int64)))

/// A model of which so many hidden units are constant, each at another multiple of a number.
let private withConstant (units: int) (value: float) =
    let model = ParameterSet.Initialize(network, 1L)

    for unit in 0 .. units - 1 do
        model["fc1.weight"].select(0L, int64 unit).zero_() |> ignore
        model["fc1.bias"].narrow(0L, int64 unit, 1L).fill_((float (unit + 1) * value).ToScalar()) |> ignore

    model

let private farFrom0 (mean: float) =
    let model = ParameterSet.Initialize(network, 1L)
    model["fc1.bias"].add_(mean.ToScalar()) |> ignore
    model

let private planted = PermutationSet.Random(network, 5L)

/// How many units are not where the planted permutation took them from.
let private wrong (found: SearchResult) =
    found.Permutations.After(planted).Permutations |> Seq.sumBy (fun p -> Seq.length p.Moving)

let private values = [ 0.1; 3.3; 123.4; 1e4 ]

let tests =
    testList "CrossMoments" [
        test "covariances and correlations far from 0 are those of the definition, over several batches" {
            use _ = torch.NewDisposeScope()
            let x = samples "x" 1L + column [ 0.0; 5.0; 1000.0; -30000.0 ]
            let y = samples "y" 1L + samples "x" 1L + column [ -1000.0; 100000.0; 0.0; 20.0 ]

            for batches in [ [ 200L ]; [ 70L; 70L; 60L ]; [ 1L; 199L ] ] do
                let moments = momentsOf x y batches
                Expect.isLessThan (difference (moments.Correlation()) (correlation x y)) 1e-4 $"{batches}"
                let covariance = (centred x).mm((centred y).t()) / (200.0).ToScalar()
                Expect.isLessThan (difference (moments.Covariance()) covariance) 1e-4 $"{batches}"
        }

        test "a unit that varies only after the first batch varies" {
            use _ = torch.NewDisposeScope()
            let x, y = samples "x" 2L, samples "y" 2L
            x.narrow(1L, 0L, 50L).zero_() |> ignore
            let y = x + y

            for means in [ [ 0.0; 50.0; -1000.0; 3.0 ]; [ 20000.0; 0.0; 0.0; 1e5 ] ] do
                let x, y = x + column means, y + column (List.rev means)
                let found = (momentsOf x y [ 50L; 50L; 100L ]).Correlation()
                Expect.isLessThan (difference found (correlation x y)) 1e-4 $"{means}"

            // From nothing to far from 0.
            x.narrow(1L, 50L, 150L).add_((1000.0).ToScalar()) |> ignore
            let found = (momentsOf x x [ 50L; 150L ]).Correlation()
            Expect.isLessThan (difference found (correlation x x)) 1e-4 "a first batch of zeros"
        }

        test "a unit that is constant correlates with none, wherever it stands, and none by more than 1" {
            use _ = torch.NewDisposeScope()

            for value in values do
                let x = samples "x" 3L
                x.select(0L, 0L).fill_(value.ToScalar()) |> ignore
                let moments = momentsOf x x [ 30L; 170L ]
                let found = moments.Correlation()
                Expect.equal (found.select(0L, 0L).abs().max().ToDouble()) 0.0 $"{value}: the constant one"
                Expect.isLessThan (abs (found.trace().ToDouble() - 3.0)) 1e-5 $"{value}: the others with themselves"
                Expect.isLessThanOrEqual (found.abs().max().ToDouble()) (1.0 + 1e-6) $"{value}: all"
        }

        test "a unit that only rounds does not vary; one that varies by little does" {
            use _ = torch.NewDisposeScope()
            let sign = torch.sign (samples "x" 4L)
            // Two float32 numbers beside one another; a thousand of them apart.
            let steps = column [ 1.0; 1000.0; 0.0; 1e6 ] * (5e-7).ToScalar()
            let x = sign * steps + (7.0).ToScalar()
            let struct (deviations, _) = (momentsOf x x [ 100L; 100L ]).Deviations()
            let vary = [ for u in 0L .. 3L -> deviations[u].ToDouble() > 0.0 ]
            Expect.equal vary [ false; true; false; true ] "by 5e-7, 5e-4, nothing and 0.5 of 7"
            let found = (momentsOf x x [ 100L; 100L ]).Correlation()
            Expect.equal (found[0, 0].ToDouble()) 0.0 "what rounds correlates with nothing"
            Expect.isLessThan (abs (found[1, 1].ToDouble() - 1.0)) 1e-4 "what varies with itself"
        }

        test "activation matching finds planted permutations of models with constant units, which count for nothing" {
            for value in values do
                use a = withConstant 1 value
                use b = planted.Apply a

                let search byCorrelation =
                    ActivationMatching.Match(a, b, data.Value, ActivationMatchingOptions(Correlation = byCorrelation))

                let found = search true
                Expect.equal (wrong found) 0 $"{value}, by correlation"
                Expect.isLessThan (abs (found.Objective[1] - 7.0)) 1e-4 $"{value}: 1 for each unit that varies"
                Expect.equal (wrong (search false)) 0 $"{value}, by covariance"
        }

        test "activation matching and agreement of models far from 0 are those of models at 0" {
            // Rectified or not, so that what is added to all units is added to what they give.
            use near = farFrom0 100.0
            use far = farFrom0 3000.0
            use moved = planted.Apply far

            for byCorrelation in [ false; true ] do
                let search a b =
                    ActivationMatching.Match(a, b, data.Value, ActivationMatchingOptions(Correlation = byCorrelation))

                let found = search far moved
                Expect.equal (wrong found) 0 $"correlation: {byCorrelation}"
                let expected = (search near near).Objective[1]
                Expect.isLessThan (abs (found.Objective[1] - expected)) (1e-3 * expected) "the objective"
                Expect.isLessThanOrEqual found.Objective[0] found.Objective[1] "no better before"

            for one, other in
                Seq.zip
                    (ActivationAgreement.Between(far, moved, data.Value, 1000))
                    (ActivationAgreement.Between(near, planted.Apply near, data.Value, 1000)) do
                Expect.isLessThan (abs (one.Correlation - other.Correlation)) 1e-3 "correlation"
                Expect.isLessThan (abs (one.Weighted - other.Weighted)) 1e-3 "weighted"
                Expect.isLessThan (abs (one.Kernel - other.Kernel)) 1e-3 "kernel"
        }

        test "a model agrees with itself whatever its constant units, and wherever its means are" {
            for model in [ for value in values -> withConstant 3 value ] @ [ for mean in values -> farFrom0 mean ] do
                let found = Seq.exactlyOne (ActivationAgreement.Between(model, model, data.Value, 1000))
                Expect.floatClose Accuracy.low found.Correlation 1.0 "correlation"
                Expect.floatClose Accuracy.low found.Weighted 1.0 "weighted"
                Expect.floatClose Accuracy.low found.Kernel 1.0 "kernel"
        }

        test "models of which no unit varies agree in nothing, and cannot be matched by activations" {
            use model = withConstant 8 3.3
            let found = Seq.exactlyOne (ActivationAgreement.Between(model, model, data.Value, 1000))
            Expect.equal (found.Correlation, found.Weighted, found.Kernel) (0.0, 0.0, 0.0) "none"

            failsWith [ "'fc1'"; "constant ones" ] (fun () ->
                ActivationMatching.Match(model, model, data.Value) |> ignore)
        }

        test "by weights and activations at once a constant unit counts by its weights alone" {
            for value in values do
                use a = withConstant 3 value
                use b = planted.Apply a
                let found = DualSpaceMatching.Match(a, b, data.Value, DualSpaceMatchingOptions(Share = 1.0))
                Expect.equal (wrong found) 0 $"{value}"
                let squares names = names |> List.sumBy (fun (name: string) -> a[name].square().sum().ToDouble())
                let own = squares [ "fc1.weight"; "fc1.bias"; "fc2.weight" ]
                // Five units of eight vary, each as itself.
                let expected = own + squares [ "fc2.bias" ] + own * 5.0 / 8.0

                Expect.isLessThan
                    (abs (Seq.last found.Objective - expected))
                    (1e-4 * expected)
                    $"{value}: the objective"
        }
    ]
