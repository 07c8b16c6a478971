module LmcDsl.Tests.Core.InnerProductTests

open Expecto
open LmcDsl.Core.Measures
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
    ]
