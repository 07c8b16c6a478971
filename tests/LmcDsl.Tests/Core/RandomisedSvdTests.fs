module LmcDsl.Tests.Core.RandomisedSvdTests

open Expecto
open LmcDsl.Core.Runtime
open LmcDsl.Core.Spectra
open LmcDsl.Tests.Fixtures
open TorchSharp

let private orthonormal (x: torch.Tensor) =
    let struct (q, _) = torch.linalg.qr x
    q

/// A matrix whose singular values fall by a factor each.
let private matrix (rows: int64) (columns: int64) (fall: float) (seed: int64) =
    use _ = torch.NewDisposeScope()
    use generator = Seeds.Generator(seed, "matrix")
    let least = min rows columns

    let basis (n: int64) = orthonormal (torch.randn (n, least, generator = generator))
    let values = torch.pow (torch.tensor (float32 fall), torch.arange(least).``to``(torch.ScalarType.Float32))
    ((basis rows) * values).mm((basis columns).t()).MoveToOuterDisposeScope()

let tests =
    testList "RandomisedSvd" [
        test "the seed says which directions are looked at" {
            use w = matrix 60L 45L 0.99 1L
            let values seed = (RandomisedSvd.Compute(w, 3, seed, 0, 0)).S.data<float32>().ToArray()
            Expect.equal (values 1L) (values 1L) "the same"
            Expect.notEqual (values 2L) (values 1L) "others"
        }

        testPropertyWithConfig (config 20) "leading values and vectors are those of the full decomposition"
        <| fun (seed: int64) ->
            use _ = torch.NewDisposeScope()
            let w = matrix 60L 45L 0.8 seed
            let struct (u, s, vt) = torch.linalg.svd (w, fullMatrices = false)
            use found = RandomisedSvd.Compute(w, 6, seed)
            Expect.isLessThan (difference found.S (s.narrow (0L, 0L, 6L))) 1e-4 "values"
            let wanted = u.narrow(1L, 0L, 6L).mm(vt.narrow (0L, 0L, 6L))
            Expect.isLessThan (difference (found.U.mm (found.V.t ())) wanted) 1e-3 "vectors, up to their common sign"

        testPropertyWithConfig (config 20) "the bound holds: no direction is left out by more"
        <| fun (seed: int64) ->
            use _ = torch.NewDisposeScope()
            let w = matrix 50L 70L 0.97 seed
            use found = RandomisedSvd.Compute(w, 10, seed, 0, 0)
            let basis = orthonormal found.U
            let outside = torch.linalg.svdvals(w - basis.mm (basis.t().mm w)).max().ToDouble()
            Expect.isLessThanOrEqual outside found.Bound "spectral norm of what is left out"
            Expect.isLessThan found.Bound (100.0 * outside) "and it says something"

        test "the whole rank leaves nothing out" {
            use _ = torch.NewDisposeScope()
            use found = RandomisedSvd.Compute(matrix 8L 5L 0.5 1L, 5)
            Expect.isLessThan found.Bound 1e-5 "nothing"
        }

        test "a rank out of range, and numbers that are not finite, are refused" {
            failsWith [ "rank of 1 to 5"; "found 6" ] (fun () ->
                RandomisedSvd.Compute(matrix 8L 5L 0.5 1L, 6).Dispose())

            failsWith [ "finite" ] (fun () -> RandomisedSvd.Compute(torch.full (3L, 3L, nanf), 1).Dispose())
        }

        test "oversampling and powers below 0 are refused" {
            use w = matrix 8L 8L 0.5 1L

            for oversampling, powers in [ -3, 2; 3, -2 ] do
                failsWith [ "oversampling and powers of 0 or more"; $"{oversampling} and {powers}" ] (fun () ->
                    RandomisedSvd.Compute(w, 4, 0L, oversampling, powers).Dispose())
        }

        test "numbers in double are decomposed in double" {
            use _ = torch.NewDisposeScope()
            let w = (matrix 20L 15L 0.5 1L).``to`` torch.float64
            use found = RandomisedSvd.Compute(w, 4)
            Expect.equal [ found.U.dtype; found.S.dtype; found.V.dtype ] (List.replicate 3 torch.float64) "types"
            let values = (torch.linalg.svdvals w).narrow(0L, 0L, 4L)
            Expect.isLessThan (difference found.S values) 1e-6 "values"
        }
    ]
