/// Norms that an export has folded into the weights before them, found again by their numbers.
module LmcDsl.Tests.Core.FusedNormsTests

open System.Collections.Immutable
open Expecto
open LmcDsl.Core.Checkpoints
open LmcDsl.Core.Importing
open TorchSharp

let private known name (numbers: torch.Tensor) =
    let kept = numbers.clone().DetachFromDisposeScope()
    let entry = TensorEntry(name, StoredType.Parse("F32", name), kept.shape.ToImmutableArray())
    new KnownTensor(name, entry, (fun () -> kept.clone ()))

let private numbers (values: float32 list) = torch.tensor (Array.ofList values)

let private norm name scale shift mean variance =
    KnownNorm(
        name,
        known $"{name}.weight" (numbers scale),
        known $"{name}.bias" (numbers shift),
        known $"{name}.running_mean" (numbers mean),
        known $"{name}.running_var" (numbers variance)
    )

/// What an export makes of a weight `[2, 3]`, a bias before the norm, and the norm.
let private fold (weight: torch.Tensor) (bias: torch.Tensor) (norm: KnownNorm) (epsilon: float) =
    let scale, shift = (nonNull norm.Scale).Numbers, (nonNull norm.Shift).Numbers
    let factor = scale / (norm.Variance.Numbers + epsilon.ToScalar()).sqrt()
    weight * factor.unsqueeze 1L, (bias - norm.Mean.Numbers) * factor + shift

let tests =
    testList "FusedNorms" [
        test
            "of norms that scale alike the one whose mean and shift were folded in is found, with what it adds to variances" {
            use _ = torch.NewDisposeScope()
            let weight = torch.tensor([| 1f; -2f; 3f; 0.5f; 4f; -1f |]).reshape(2L, 3L)
            let scale, variance = [ 2f; 0.5f ], [ 0.3f; 1.7f ]

            let norms =
                [|
                    norm "one" scale [ 0.1f; 0.2f ] [ 1f; 2f ] variance
                    norm "other shift" scale [ 0.1f; 0.3f ] [ 1f; 2f ] variance
                    norm "other mean" scale [ 0.1f; 0.2f ] [ 1f; 2.5f ] variance
                |]

            for bias in [ None; Some [ 0.7f; -0.4f ] ] do
                let own = bias |> Option.map (numbers >> known "conv.bias")

                let candidate = struct (known "conv.weight" weight, weight, own |> Option.toObj)

                for expected in norms do
                    for epsilon in [ 1e-5; 1e-3; 7e-3 ] do
                        let before = bias |> Option.map numbers |> Option.defaultWith (fun () -> torch.zeros 2L)
                        let fused, shift = fold weight before expected epsilon
                        let fits = FusedNorms.Fits(fused, shift, [ candidate ], norms)

                        Expect.sequenceEqual
                            [ for fit in fits -> fit.Norm.Name, fit.Epsilon ]
                            [ expected.Name, epsilon ]
                            $"{expected.Name}, {bias}"
        }
    ]
