using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>
/// First and second moments of two models' units, summed batch by batch in double: memory is that of one matrix of units by
/// units, however many samples there are. Where a unit's mean is so large that float32 would not hold how it varies beside it, its samples are
/// taken about a first mean.
/// </summary>
internal sealed class CrossMoments(int units, Device device)
{
    // Products of activations between these sizes, as powers of two, are what float32 holds.
    private const int LeastSize = -30;
    private const int LargestSize = 30;

    // Deviations from a mean of so many times their size keep four digits in float32 products.
    private const double LargeMean = 16;

    // A unit whose samples differ by no more than this share of their size does not vary: it is what a forward pass rounds by.
    private const double Rounding = 1e-6;

    private readonly Tensor products = zeros(units, units, ScalarType.Float64, device);
    private readonly Tensor left = zeros(2, units, ScalarType.Float64, device); // sums, sums of squares
    private readonly Tensor right = zeros(2, units, ScalarType.Float64, device);
    private readonly Origin originLeft = new(units, device);
    private readonly Origin originRight = new(units, device);
    private long samples;

    /// <summary>Whether there are samples.</summary>
    public bool Any => samples > 0;

    /// <summary>Adds samples.</summary>
    /// <param name="x">One model's activations, <c>[units, samples]</c>.</param>
    /// <param name="y">The other's, of the same shape.</param>
    public void Add(Tensor x, Tensor y)
    {
        using var scope = NewDisposeScope();
        (x, var ofX) = originLeft.About(x);
        (y, var ofY) = originRight.About(y);
        var (shiftX, shiftY) = (Shift(ofX, x.shape[1]), Shift(ofY, x.shape[1]));
        var product = Scaled(x, -shiftX).mm(Scaled(y, -shiftY).t()).to(ScalarType.Float64);
        products.add_(Scaled(product, shiftX + shiftY));
        left.add_(ofX);
        right.add_(ofY);
        samples += x.shape[1];
    }

    /// <summary>cov(x_i, y_j), <c>[units, units]</c>, in the caller's dispose scope.</summary>
    /// <returns>The matrix.</returns>
    public Tensor Covariance() => products / samples - (left[0] / samples).outer(right[0] / samples);

    /// <summary>corr(x_i, y_j), 0 where a unit does not vary; in the caller's dispose scope.</summary>
    /// <returns>The matrix.</returns>
    public Tensor Correlation()
    {
        var (ofLeft, ofRight) = Deviations();
        var scale = ofLeft.outer(ofRight);
        return where(scale > 0, Covariance() / scale, zeros_like(scale));
    }

    /// <summary>Each unit's standard deviation in the first and in the second model, 0 where it is no more than a forward pass rounds by.</summary>
    /// <returns>Twice <c>[units]</c>, in the caller's dispose scope.</returns>
    public (Tensor Left, Tensor Right) Deviations() => (Deviation(left, originLeft), Deviation(right, originRight));

    private Tensor Deviation(Tensor sums, Origin origin)
    {
        var mean = sums[0] / samples;
        var variance = (sums[1] / samples - mean.square()).clamp_min(0);
        var deviation = variance.sqrt();
        return where(deviation > Rounding * (mean + origin.Means).abs(), deviation, zeros_like(deviation));
    }

    // What a model's samples are taken about: the means of its first ones of units where they are large, 0 of all others.
    private sealed class Origin(int units, Device device)
    {
        private readonly Tensor means = zeros(units, 1, ScalarType.Float64, device);
        private bool begun;
        private bool moves;

        public Tensor Means => means.squeeze(1);

        public (Tensor Samples, Tensor Sums) About(Tensor x)
        {
            var sums = SampleSums.Of(x).to(means.device);
            if (!begun)
            {
                begun = true;
                var (mean, square) = (sums[0] / x.shape[1], sums[1] / x.shape[1]);
                var isLarge = mean.square() * (1 + 1 / (LargeMean * LargeMean)) > square;
                moves = isLarge.any().item<bool>();
                // As float32 holds it, so that a constant is taken away without a rest.
                if (moves) means.copy_(where(isLarge, mean, zeros_like(mean)).to(x.dtype).unsqueeze(1));
            }

            if (!moves) return (x, sums);
            var moved = x - means.to(x.dtype);
            return (moved, SampleSums.Of(moved).to(means.device));
        }
    }

    // The power of two by which samples are divided before they are multiplied; 0 for those of common size.
    private static int Shift(Tensor sums, long samples)
    {
        var size = Math.Sqrt(sums[1].max().ToDouble() / samples);
        if (!double.IsFinite(size) || size == 0) return 0;
        var exponent = Math.ILogB(size);
        return exponent is < LeastSize or > LargestSize ? Math.Clamp(exponent, -126, 126) : 0;
    }

    private static Tensor Scaled(Tensor values, int exponent) => exponent == 0 ? values : values * Math.ScaleB(1, exponent);
}
