module LmcDsl.Tests.Core.SinkhornTests

open System
open Expecto
open LmcDsl.Core.Solvers
open LmcDsl.Tests.Fixtures
open TorchSharp

let private logits n (seed: int64) (scale: float) =
    use generator = LmcDsl.Core.Runtime.Seeds.Generator(seed, "logits")
    torch.randn(int64 n, int64 n, generator = generator).mul_(scale.ToScalar())

let private size seed = 1 + abs (seed % 12)

let tests =
    testList "Sinkhorn" [
        testPropertyWithConfig (config 50) "rows and columns sum to 1, and no entry is negative"
        <| fun (seed: int) ->
            use _ = torch.NewDisposeScope()
            let n = size seed
            use sinkhorn = new Sinkhorn(n, 1.0, 500, torch.CPU)
            let p = sinkhorn.Scale(logits n (int64 seed) 1.0)
            let ones = torch.ones (int64 n)
            Expect.isLessThan (difference (p.sum 0L) ones) float32Rounding "columns"
            Expect.isLessThan (difference (p.sum 1L) ones) 1e-3 "rows"
            Expect.isGreaterThanOrEqual (p.min().ToDouble()) 0.0 "entries"

        testPropertyWithConfig (config 20) "a constant added to a row or a column of the logits changes nothing"
        <| fun (seed: int) ->
            use _ = torch.NewDisposeScope()
            let n = size seed
            let x = logits n (int64 seed) 1.0
            use one = new Sinkhorn(n, 1.0, 500, torch.CPU)
            use other = new Sinkhorn(n, 1.0, 500, torch.CPU)
            let rows = (logits n (int64 seed + 1L) 5.0).narrow(1L, 0L, 1L)
            Expect.isLessThan (difference (one.Scale x) (other.Scale(x + rows + rows.t ()))) 1e-3 "the same matrix"

        test "a low temperature gives the permutation of the best assignment, however far the logits are apart" {
            use _ = torch.NewDisposeScope()
            let n = 6
            let x = logits n 3L 100.0
            use sinkhorn = new Sinkhorn(n, 0.5, 2000, torch.CPU)
            let p = sinkhorn.Scale x
            let cost = x.neg().data<float32>().ToArray()
            let best = LinearAssignment.Minimize(ReadOnlySpan cost, n).Columns

            for i in 0 .. n - 1 do
                Expect.isGreaterThan (p[int64 i, int64 best[i]].ToDouble()) 0.9 $"row {i}"
        }

        test "a later call starts from the scaling of the last one" {
            use _ = torch.NewDisposeScope()
            let x = logits 10 5L 3.0
            use few = new Sinkhorn(10, 1.0, 5, torch.CPU)
            use many = new Sinkhorn(10, 1.0, 1000, torch.CPU)
            let wanted = many.Scale x
            let first = difference (few.Scale x) wanted

            for _ in 1..50 do
                few.Scale(x).Dispose()

            Expect.isLessThan (difference (few.Scale x) wanted) (max 1e-5 (first / 10.0)) "nearer by far"
        }

        testPropertyWithConfig (config 20) "the gradient is that of finite differences"
        <| fun (seed: int) ->
            use _ = torch.NewDisposeScope()
            let n = 2 + size seed % 6
            let x, weights, along = logits n (int64 seed) 1.0, logits n 91L 1.0, logits n 92L 1.0

            let value (logits: torch.Tensor) =
                use fresh = new Sinkhorn(n, 0.7, 1000, torch.CPU)
                use p = fresh.Scale logits
                (p * weights).sum(torch.ScalarType.Float64).ToDouble()

            use sinkhorn = new Sinkhorn(n, 0.7, 1000, torch.CPU)
            let p = sinkhorn.Scale x
            let gradient = sinkhorn.Gradient(p, weights)
            let h = 1e-2
            let numeric = (value (x + along * h.ToScalar()) - value (x - along * h.ToScalar())) / (2.0 * h)
            let analytic = (gradient * along).sum(torch.ScalarType.Float64).ToDouble()
            Expect.isLessThan (abs (numeric - analytic)) (1e-2 * (0.1 + abs analytic)) "directional derivative"

        test "at a permutation the gradient is 0" {
            use _ = torch.NewDisposeScope()
            let p = torch.eye 5L
            use sinkhorn = new Sinkhorn(5, 1.0, 20, torch.CPU)
            Expect.isLessThan (sinkhorn.Gradient(p, logits 5 1L 1.0).abs().max().ToDouble()) 1e-5 "a vertex"
        }

        test "no iterations, and temperatures that are not above 0, are refused" {
            for tau, iterations in [ 1.0, 0; 1.0, -2; 0.0, 5; -1.0, 5; nan, 5 ] do
                use sinkhorn = new Sinkhorn(2, tau, iterations, torch.CPU)

                failsWith [ "Sinkhorn"; "temperature above 0"; "1 or more iterations" ] (fun () ->
                    (sinkhorn.Scale(logits 2 1L 1.0)).Dispose())
        }
    ]
