using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using LmcDsl.Core.Solvers;

namespace LmcDsl.Core.Matching;

/// <summary>
/// The doubly stochastic matrix of assignment costs at a temperature (softassign; Gold and Rangarajan, IEEE PAMI 18, 1996):
/// <c>P = diag(r) exp(-cost / T) diag(c)</c>. T is counted in deviations of the costs once rows and columns have mean 0, which an
/// assignment does not see, so that it means the same at any scale and for any norms of units.
/// </summary>
internal static class SoftAssign
{
    // The least entry before scaling, next to 1 for each row's greatest: without zeros the scalings stay within float32.
    private const float Floor = 1e-20f;

    // Of rows that sum to 1.
    private const float Negligible = 1e-3f;

    // How many times fewer entries are a product by rows' worth.
    private const int WorthSkipping = 6;

    /// <summary>Turns costs into the matrix, in place.</summary>
    /// <param name="values">Costs <c>[n, n]</c> by rows; the matrix afterwards.</param>
    /// <param name="n">Rows and columns.</param>
    /// <param name="temperature">T in deviations, above 0.</param>
    /// <param name="iterations">Passes over rows and columns.</param>
    /// <returns>False where all assignments cost the same: the matrix is 1 / n everywhere.</returns>
    public static bool Apply(Span<float> values, int n, double temperature, int iterations)
    {
        var deviation = Centre(values, n);
        if (!(deviation > 0))
        {
            values.Fill(1f / n);
            return false;
        }

        var factor = (float)(-1 / (temperature * deviation));
        var rows = new float[n];
        var columns = new float[n];
        for (var i = 0; i < n; i++) Exponentials(values.Slice(i * n, n), factor);
        Array.Fill(columns, 1);
        SinkhornRows.Scale(values, rows, columns, iterations);
        for (var i = 0; i < n; i++) Scale(values.Slice(i * n, n), columns, rows[i]);
        return true;
    }

    /// <summary>The product of such a matrix and others' rows. Entries that are next to nothing are left out where that pays.</summary>
    /// <param name="matrix">The matrix, <c>[n, n]</c>, on the CPU.</param>
    /// <param name="rows"><c>[n, width]</c>, on the CPU.</param>
    /// <returns><c>[n, width]</c>, in the caller's dispose scope.</returns>
    public static torch.Tensor Mix(torch.Tensor matrix, torch.Tensor rows)
    {
        var (n, width) = ((int)rows.shape[0], (int)rows.shape[1]);
        var counted = 0;
        foreach (var entry in UnitLayout.Numbers(matrix)) counted += entry > Negligible ? 1 : 0;
        if (counted > n * n / WorthSkipping) return matrix.mm(rows);
        var mixed = torch.zeros(n, width);
        Parallel.For(0, n, i =>
        {
            var row = UnitLayout.Numbers(matrix).Slice(i * n, n);
            var target = UnitLayout.Numbers(mixed).Slice(i * width, width);
            for (var j = 0; j < n; j++)
                if (row[j] > Negligible) RowProduct.AddScaled(target, UnitLayout.Numbers(rows).Slice(j * width, width), row[j]);
        });
        return mixed;
    }

    // Takes the means of rows and columns away; gives the deviation of what is left.
    private static double Centre(Span<float> values, int n)
    {
        var columns = new double[n];
        for (var i = 0; i < n; i++)
        {
            var row = values.Slice(i * n, n);
            var mean = 0.0;
            foreach (var value in row) mean += value;
            mean /= n;
            for (var j = 0; j < n; j++)
            {
                row[j] = (float)(row[j] - mean);
                columns[j] += row[j];
            }
        }

        var squares = 0.0;
        for (var i = 0; i < n; i++)
        {
            var row = values.Slice(i * n, n);
            for (var j = 0; j < n; j++)
            {
                row[j] = (float)(row[j] - columns[j] / n);
                squares += (double)row[j] * row[j];
            }
        }

        return Math.Sqrt(squares) / n;
    }

    // exp(factor * (value - least)), factor below 0: 1 at the row's least.
    private static void Exponentials(Span<float> row, float factor)
    {
        var least = float.PositiveInfinity;
        foreach (var value in row) least = Math.Min(least, value);
        var k = 0;
        ref var first = ref MemoryMarshal.GetReference(row);
        for (; k + 8 <= row.Length; k += 8)
        {
            var energy = (Vector256.LoadUnsafe(ref first, (nuint)k) - Vector256.Create(least)) * factor;
            Vector256.Max(Vector256.Exp(energy), Vector256.Create(Floor)).StoreUnsafe(ref first, (nuint)k);
        }

        for (; k < row.Length; k++) row[k] = Math.Max(MathF.Exp((row[k] - least) * factor), Floor);
    }

    private static void Scale(Span<float> row, ReadOnlySpan<float> columns, float factor)
    {
        for (var j = 0; j < row.Length; j++) row[j] *= factor * columns[j];
    }
}
