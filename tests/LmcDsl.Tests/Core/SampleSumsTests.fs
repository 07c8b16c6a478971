/// Sums of units' samples, whatever way they lie.
module LmcDsl.Tests.Core.SampleSumsTests

open System
open Expecto
open LmcDsl.Core.Matching
open LmcDsl.Core.Runtime
open LmcDsl.Tests.Fixtures
open TorchSharp

let private same (samples: torch.Tensor) what =
    let wide = samples.``to`` torch.float64
    let expected = torch.stack [| wide.sum 1L; wide.square().sum 1L |]
    use found = SampleSums.Of samples
    Expect.equal found.shape expected.shape $"{what}: shape"
    let size = 1.0 + expected.abs().max().ToDouble()
    Expect.isLessThan (difference found expected) (doubleRounding * size) what

let tests =
    testList "SampleSums" [
        testPropertyWithConfig (config 200) "they are those of the samples in double, whatever way these lie"
        <| fun (seed: int) ->
            use _ = torch.NewDisposeScope()
            let random = Random seed
            let units, samples = random.Next(1, 40), random.Next(1, 200)
            use generator = Seeds.Generator(int64 seed, "test")
            let drawn = torch.randn (int64 units, int64 samples, generator = generator)
            same drawn "one unit after the other"
            same (drawn.t().contiguous().t()) "one sample after the other"

            same
                (torch
                    .randn(int64 (2 * units), int64 (2 * samples), generator = generator)
                    .slice(0L, 0L, int64 units, 1L))
                "a part"

            same
                (torch
                    .randn(int64 units, int64 (2 * samples), generator = generator)
                    .slice(1L, 0L, 2L * int64 samples, 2L))
                "every other sample"

            same (drawn.``to`` torch.bfloat16) "another type"
            // As of a convolution: channels of every example and position, both ways in which such outputs lie.
            let images = torch.randn ([| 3L; int64 units; 4L; 5L |], generator = generator)
            same (images.transpose(0L, 1L).reshape(int64 units, -1L)) "channels first"
            let last = images.permute(0L, 2L, 3L, 1L).contiguous().permute(0L, 3L, 1L, 2L)
            same (last.transpose(0L, 1L).reshape(int64 units, -1L)) "channels last"

        test "numbers that float32 cannot add up keep their places" {
            use _ = torch.NewDisposeScope()
            // 2^24 and 1: in float32 the ones are lost.
            let samples = torch.ones (2L, 1001L)

            samples[TorchSharp.torch.TensorIndex.Colon, TorchSharp.torch.TensorIndex.Single 0L] <-
                torch.tensor 16777216f

            for way in [ samples; samples.t().contiguous().t() ] do
                use found = SampleSums.Of way
                Expect.sequenceEqual (found[0L].data<float>()) [ 16778216.0; 16778216.0 ] "2^24 + 1000"
                Expect.sequenceEqual (found[1L].data<float>()) [ 281474976711656.0; 281474976711656.0 ] "2^48 + 1000"
        }
    ]
