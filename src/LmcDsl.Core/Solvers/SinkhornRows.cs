namespace LmcDsl.Core.Solvers;

/// <summary>
/// What the Sinkhorn operator and its gradient repeat, on the CPU: products of a matrix and of its transpose, one after the other, for which
/// each row is read once.
/// </summary>
internal static class SinkhornRows
{
    /// <summary>Sums below this count as this.</summary>
    public const float Smallest = 1e-30f;

    /// <summary>Conjugate gradients end when the residual is this small a share of the right-hand side.</summary>
    public const double Tolerance = 1e-5;

    /// <summary>Or after so many steps.</summary>
    public const int MostSteps = 50;

    /// <summary>Scales a positive matrix' rows and columns, in turn, to sums of 1.</summary>
    /// <param name="matrix"><c>[n, n]</c>, by rows.</param>
    /// <param name="rows">What rows are to be multiplied by.</param>
    /// <param name="columns">What columns are: where to begin, and where it ended.</param>
    /// <param name="passes">How often.</param>
    public static void Scale(ReadOnlySpan<float> matrix, Span<float> rows, Span<float> columns, int passes)
    {
        var n = rows.Length;
        var sums = new float[n];
        for (var k = 0; k < passes; k++)
        {
            Array.Clear(sums);
            for (var i = 0; i < n; i++)
            {
                var row = matrix.Slice(i * n, n);
                rows[i] = 1 / Math.Max(RowProduct.Dot(row, columns), Smallest);
                RowProduct.AddScaled(sums, row, rows[i]);
            }

            for (var j = 0; j < n; j++) columns[j] = 1 / Math.Max(sums[j], Smallest);
        }
    }

    /// <summary>
    /// Solves (1 - P'P) x = right for a doubly stochastic P, by conjugate gradients. The matrix is 0 on constant vectors only; those are kept out.
    /// </summary>
    /// <param name="matrix">P, <c>[n, n]</c>, by rows.</param>
    /// <param name="right">The right-hand side; what it has of a constant does not count.</param>
    /// <param name="x">The solution, of mean 0.</param>
    public static void Solve(ReadOnlySpan<float> matrix, ReadOnlySpan<float> right, Span<float> x)
    {
        var n = right.Length;
        var (residual, image) = (right.ToArray(), new float[n]);
        x.Clear();
        Centre(residual);
        var direction = residual.ToArray();
        var size = Inner(residual, residual);
        var enough = Tolerance * Tolerance * size;
        for (var k = 0; k < MostSteps && size > enough && size > 0; k++)
        {
            Array.Clear(image);
            for (var i = 0; i < n; i++)
            {
                var row = matrix.Slice(i * n, n);
                RowProduct.AddScaled(image, row, RowProduct.Dot(row, direction));
            }

            for (var j = 0; j < n; j++) image[j] = direction[j] - image[j];
            var curvature = Inner(direction, image);
            if (!(curvature > 0)) break; // a permutation: P'P is the identity, and the gradient of all that is left is 0
            var step = (float)(size / curvature);
            RowProduct.AddScaled(x, direction, step);
            RowProduct.AddScaled(residual, image, -step);
            Centre(residual);
            var next = Inner(residual, residual);
            var share = (float)(next / size);
            for (var j = 0; j < n; j++) direction[j] = direction[j] * share + residual[j];
            size = next;
        }
    }

    private static void Centre(Span<float> values)
    {
        double sum = 0;
        foreach (var value in values) sum += value;
        var mean = (float)(sum / values.Length);
        for (var j = 0; j < values.Length; j++) values[j] -= mean;
    }

    private static double Inner(ReadOnlySpan<float> x, ReadOnlySpan<float> y)
    {
        double sum = 0;
        for (var j = 0; j < x.Length; j++) sum += (double)x[j] * y[j];
        return sum;
    }
}
