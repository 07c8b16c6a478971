using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>
/// First and second moments of two models' units, summed batch by batch in double: memory is that of one matrix of units by
/// units, however many samples there are.
/// </summary>
internal sealed class CrossMoments(int units, Device device)
{
    // Products of activations between these sizes, as powers of two, are what float32 holds.
    private const int LeastSize = -30;
    private const int LargestSize = 30;

    private readonly Tensor products = zeros(units, units, ScalarType.Float64, device);
    private readonly Tensor left = zeros(2, units, ScalarType.Float64, device); // sums, sums of squares
    private readonly Tensor right = zeros(2, units, ScalarType.Float64, device);
    private long samples;

    /// <summary>Adds samples.</summary>
    /// <param name="x">One model's activations, <c>[units, samples]</c>.</param>
    /// <param name="y">The other's, of the same shape.</param>
    public void Add(Tensor x, Tensor y)
    {
        using var scope = NewDisposeScope();
        var (ofX, ofY) = (SampleSums.Of(x).to(products.device), SampleSums.Of(y).to(products.device));
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
        var scale = Deviation(left).outer(Deviation(right));
        return where(scale > 0, Covariance() / scale, zeros_like(scale));
    }

    /// <summary>Whether any unit of the first and of the second model varies by more than the rounding of float32.</summary>
    public (bool Left, bool Right) Vary => (DoesVary(left), DoesVary(right));

    private bool DoesVary(Tensor sums)
    {
        const double Rounding = 1e-7;
        using var scope = NewDisposeScope();
        return (Deviation(sums) > Rounding * (sums[1] / samples).sqrt()).any().item<bool>();
    }

    private Tensor Deviation(Tensor sums) => (sums[1] / samples - (sums[0] / samples).square()).clamp_min(0).sqrt();

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
