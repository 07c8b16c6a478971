/// The Sinkhorn operator's loops on rows, beside the same by Torch.
module LmcDsl.Tests.Core.SinkhornRowsTests

open System
open Expecto
open LmcDsl.Core.Runtime
open LmcDsl.Core.Solvers
open LmcDsl.Tests.Fixtures
open TorchSharp

let private positive (n: int) (seed: int) =
    use generator = Seeds.Generator(int64 seed, "matrix")
    torch.randn(int64 n, int64 n, generator = generator).mul(2.0.ToScalar()).exp()

let private floats (tensor: torch.Tensor) = tensor.contiguous().data<float32>().ToArray()

let tests =
    testList "SinkhornRows" [
        testPropertyWithConfig (config 60) "scalings are those that Torch's products give"
        <| fun (seed: int) ->
            use _ = torch.NewDisposeScope()
            let random = Random seed
            let n, passes = random.Next(1, 70), random.Next(1, 30)
            let matrix = positive n seed
            let rows, columns = Array.zeroCreate<float32> n, Array.create n 1f
            SinkhornRows.Scale(ReadOnlySpan(floats matrix), Span rows, Span columns, passes)
            let struct (wantedRows, wantedColumns) = Sinkhorn.ScaleOnDevice(matrix, torch.ones (1L, int64 n), passes)

            let scaled (r: torch.Tensor) (c: torch.Tensor) = matrix * r.reshape (-1L, 1L) * c.reshape (1L, -1L)
            let found, wanted = scaled (torch.tensor rows) (torch.tensor columns), scaled wantedRows wantedColumns
            Expect.isLessThan (difference found wanted) 1e-4 $"{n} units, {passes} passes"
            Expect.isLessThan (difference (found.sum 0L) (torch.ones (int64 n))) 1e-4 "columns end last"

        testPropertyWithConfig (config 60) "solutions solve the equations, as Torch's do"
        <| fun (seed: int) ->
            use _ = torch.NewDisposeScope()
            let random = Random seed
            let n = random.Next(1, 70)
            use sinkhorn = new Sinkhorn(n, 1.0, 300, torch.CPU)
            use generator = Seeds.Generator(int64 seed, "right")
            let p = sinkhorn.Scale((positive n seed).log())
            let right = torch.randn (int64 n, 1L, generator = generator)
            let x = Array.create n 7f
            SinkhornRows.Solve(ReadOnlySpan(floats p), ReadOnlySpan(floats right), Span x)
            let wanted = Sinkhorn.SolveOnDevice(p, right)
            let found = torch.tensor(x).reshape(-1L, 1L)
            let centred = right - right.mean ()
            let residual (x: torch.Tensor) = (x - p.mT.matmul (p.matmul x) - centred).norm().ToDouble()
            let size = 1e-6 + centred.norm().ToDouble()
            Expect.isLessThan (residual found) (1e-3 * size + 2.0 * residual wanted) $"{n} units"
            Expect.isLessThan (abs (found.mean().ToDouble())) (1e-4 * (1.0 + found.abs().max().ToDouble())) "of mean 0"

        test "equations that steepest descent is far from after fifty steps are solved" {
            use _ = torch.NewDisposeScope()
            let n = 40L
            let circle = torch.eye(n).roll([| 1L |], [| 0L |])
            let p = torch.eye(n).mul(0.9.ToScalar()) + circle.mul (0.1.ToScalar())
            let right = torch.zeros (n, 1L)
            right[torch.TensorIndex.Single 0L] <- torch.ones 1L
            let x = Array.zeroCreate<float32>(int n)
            SinkhornRows.Solve(ReadOnlySpan(floats p), ReadOnlySpan(floats right), Span x)
            let found = torch.tensor(x).reshape(-1L, 1L)
            let left = found - p.mT.matmul (p.matmul found) - right + right.mean ()
            Expect.isLessThan (left.norm().ToDouble()) 1e-3 "the residual"
        }

        test "of a permutation's matrix nothing is asked" {
            let x = Array.create 3 7f

            SinkhornRows.Solve(
                ReadOnlySpan [| 0f; 1f; 0f; 0f; 0f; 1f; 1f; 0f; 0f |],
                ReadOnlySpan [| 1f; 2f; 6f |],
                Span x
            )

            Expect.all x Single.IsFinite "finite"
        }
    ]
