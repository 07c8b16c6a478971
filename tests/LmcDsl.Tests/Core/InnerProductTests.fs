module LmcDsl.Tests.Core.InnerProductTests

open Expecto
open LmcDsl.Core.Measures
open LmcDsl.Tests.Fixtures
open TorchSharp

let private scalar (x: float) = TorchSharp.Scalar.op_Implicit x

let tests =
    testList "InnerProduct" [
        test "numbers that lie apart give what they give side by side" {
            // 0, 1, ... 599 and their doubles less 3, in 20 rows: all sums are whole numbers below 2^53.
            let x = torch.arange(scalar 600.0, dtype = torch.float32).view(20L, 30L)
            let y = x * scalar 2.0 - scalar 3.0
            let values (f: float -> float) = Seq.sum [ for k in 0.0 .. 599.0 -> f k ]
            let product, square = values (fun k -> k * (2.0 * k - 3.0)), values (fun k -> (k - 3.0) ** 2.0)

            for what, one, other in [ "side by side", x, y; "apart", x.t (), y.t () ] do
                Expect.equal (InnerProduct.Of(one, other)) product what
                Expect.equal (InnerProduct.SquaredDistance(one, other)) square what
        }

        test "sums are over all blocks, the last and shorter one among them" {
            let count = (1L <<< 19) + 5L
            let ones = torch.ones count
            Expect.equal (InnerProduct.Of(ones, ones)) (float count) "as many as there are"

            Expect.equal
                (InnerProduct.SquaredDistance(ones, ones * scalar 3.0))
                (4.0 * float count)
                "four times as many"
        }

        test "numbers of any type are summed in double" {
            for dtype in [ torch.float64; torch.float16; torch.bfloat16; torch.int64 ] do
                let x = torch.arange(scalar 12.0, dtype = torch.float32).view(3L, 4L).``to`` dtype
                let ones = torch.ones_like x
                // 0 + 1 + ... + 11, and 1 + 0 + 1 + ... + 100.
                Expect.equal (InnerProduct.Of(x, ones)) 66.0 $"{dtype}"
                Expect.equal (InnerProduct.Of(ones, x.``to`` torch.float32)) 66.0 $"{dtype} and float32"
                Expect.equal (InnerProduct.SquaredDistance(x, ones)) 386.0 $"{dtype}"
                Expect.equal (InnerProduct.Of(x.t (), ones.t ())) 66.0 $"{dtype}, apart"

            let small = torch.full (4L, scalar 1e-200, dtype = torch.float64)
            Expect.floatClose Accuracy.high (InnerProduct.Of(small, small / small)) 4e-200 "what float32 does not hold"
        }

        test "tensors of two sizes are refused, of whatever type and layout" {
            let pairs =
                [
                    for dtype in [ torch.float32; torch.float64 ] do
                        torch.ones (8L, dtype = dtype), torch.ones (16L, dtype = dtype)
                        torch.ones (16L, dtype = dtype), torch.ones (8L, dtype = dtype)
                        torch.ones (8L, dtype = dtype), torch.ones (1L, dtype = dtype)
                        torch.ones(2L, 4L, dtype = dtype).t(), torch.ones (2L, dtype = dtype)
                ]

            for one, other in pairs do
                failsWith [ "one size"; $"{one.numel ()} and {other.numel ()}" ] (fun () ->
                    InnerProduct.Of(one, other) |> ignore)

                failsWith [ "one size" ] (fun () -> InnerProduct.SquaredDistance(one, other) |> ignore)
        }
    ]
