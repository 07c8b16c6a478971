using System.Runtime.InteropServices;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Solvers;

/// <summary>
/// The Sinkhorn operator (Mena et al., 1802.08665): the doubly stochastic matrix
/// <c>P = diag(r) exp(X / tau) diag(c)</c> of logits X, and the gradient of a function of P with respect to X. The scalings
/// are kept in logarithms, and a later call starts from those of the last one: logits that move little are scaled well by
/// few iterations.
/// </summary>
/// <param name="n">Number of rows and columns.</param>
/// <param name="tau">The temperature, above 0: the smaller, the nearer P is to a permutation.</param>
/// <param name="iterations">Passes over rows and columns in one call.</param>
/// <param name="device">Where the matrices are.</param>
/// <param name="count">How many matrices are scaled side by side: where more than one, all are <c>[count, n, n]</c>.</param>
public sealed class Sinkhorn(int n, double tau, int iterations, Device device, int count = 1) : IDisposable
{
    private const int Together = 20;

    private readonly Tensor rowLog = zeros(Shape(count, n, 1), device: device).DetachFromDisposeScope();
    private readonly Tensor columnLog = zeros(Shape(count, 1, n), device: device).DetachFromDisposeScope();

    /// <summary>Scales logits to a doubly stochastic matrix. Columns sum to 1 to rounding, rows as far as the iterations went.</summary>
    /// <param name="logits">X, <c>[n, n]</c>, finite.</param>
    /// <returns>P, <c>[n, n]</c>, in the caller's dispose scope.</returns>
    /// <exception cref="LmcException">A temperature of 0 or below, or no iterations.</exception>
    public Tensor Scale(Tensor logits)
    {
        Guard.Require(tau > 0 && iterations >= 1, $"Sinkhorn: expected a temperature above 0 and 1 or more iterations, found {tau} and {iterations}");
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        for (var left = iterations; left > Together; left -= Together) Pass(logits, Together);
        return Pass(logits, (iterations - 1) % Together + 1).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// The gradient with respect to the logits, from the implicit function theorem at doubly stochastic P (Eisenberger et
    /// al., 2205.06688): <c>P * (G - alpha 1' - 1 beta') / tau</c>, where alpha and beta make every row and column of the
    /// product sum to 0.
    /// </summary>
    /// <param name="scaled">P, as <see cref="Scale"/> gave it.</param>
    /// <param name="gradient">G, the gradient with respect to P, <c>[n, n]</c>.</param>
    /// <returns>The gradient, <c>[n, n]</c>, in the caller's dispose scope.</returns>
    public Tensor Gradient(Tensor scaled, Tensor gradient)
    {
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        var weighted = scaled * gradient;
        var (rowSums, columnSums) = (weighted.sum([-1], keepdim: true), weighted.sum([-2], keepdim: true).mT);
        // alpha + P beta = row sums, P' alpha + beta = column sums. Without alpha: (1 - P'P) beta = column sums - P' row sums.
        var beta = Solve(scaled, columnSums - scaled.mT.matmul(rowSums));
        var alpha = rowSums - scaled.matmul(beta);
        return (weighted - scaled * alpha - scaled * beta.mT).div_(tau).MoveToOuterDisposeScope();
    }

    /// <summary>Frees the scalings.</summary>
    public void Dispose()
    {
        rowLog.Dispose();
        columnLog.Dispose();
    }

    // Some iterations on the exponentials; then the scalings go into the logarithms, so that those are never far from 1.
    private Tensor Pass(Tensor logits, int passes)
    {
        using var scope = NewDisposeScope();
        var exponent = (logits / tau).add_(rowLog).add_(columnLog);
        // Rows are brought to a maximum of 0 first, so that nothing overflows and no row vanishes.
        var top = exponent.amax([-1], keepdim: true);
        rowLog.sub_(top);
        var kernel = exponent.sub_(top).exp_();
        var (rows, columns) = (ones_like(rowLog), ones_like(columnLog));
        if (IsByRows(kernel))
            for (var c = 0; c < count; c++)
                SinkhornRows.Scale(Part(kernel, c, n * n), Part(rows, c, n), Part(columns, c, n), passes);
        else (rows, columns) = ScaleOnDevice(kernel, columns, passes);
        rowLog.add_(rows.log());
        columnLog.add_(columns.log());
        return kernel.mul_(rows).mul_(columns).MoveToOuterDisposeScope();
    }

    /// <summary>What <see cref="SinkhornRows.Scale"/> computes, by Torch.</summary>
    internal static (Tensor Rows, Tensor Columns) ScaleOnDevice(Tensor kernel, Tensor columns, int passes)
    {
        var rows = columns;
        for (var k = 0; k < passes; k++)
        {
            rows = kernel.matmul(columns.mT).clamp_min(SinkhornRows.Smallest).reciprocal();
            columns = rows.mT.matmul(kernel).clamp_min(SinkhornRows.Smallest).reciprocal();
        }

        return (rows, columns);
    }

    private static bool IsByRows(Tensor matrices) =>
        matrices.device_type == DeviceType.CPU && matrices.dtype == ScalarType.Float32 && matrices.is_contiguous()
        && matrices.numel() <= int.MaxValue / sizeof(float);

    private static Span<float> Part(Tensor tensor, int part, int size) =>
        MemoryMarshal.Cast<byte, float>(tensor.bytes).Slice(part * size, size);

    private static long[] Shape(int count, int rows, int columns) => count == 1 ? [rows, columns] : [count, rows, columns];

    private static Tensor Means(Tensor vectors) => vectors.dim() == 2 ? vectors.mean() : vectors.mean([-2], keepdim: true);

    private Tensor Solve(Tensor scaled, Tensor right)
    {
        if (!IsByRows(scaled)) return SolveOnDevice(scaled, right);
        var (dense, x) = (right.contiguous(), zeros_like(right).contiguous());
        for (var c = 0; c < count; c++) SinkhornRows.Solve(Part(scaled, c, n * n), Part(dense, c, n), Part(x, c, n));
        return x;
    }

    /// <summary>What <see cref="SinkhornRows.Solve"/> computes, by Torch: several matrices are one problem whose parts do not touch each other.</summary>
    internal static Tensor SolveOnDevice(Tensor scaled, Tensor right)
    {
        right = right - Means(right);
        var (x, residual) = (zeros_like(right), right);
        var direction = residual.clone();
        var size = residual.square().sum().ToDouble();
        var enough = SinkhornRows.Tolerance * SinkhornRows.Tolerance * size;
        for (var k = 0; k < SinkhornRows.MostSteps && size > enough && size > 0; k++)
        {
            using var scope = NewDisposeScope();
            var image = direction - scaled.mT.matmul(scaled.matmul(direction));
            var curvature = (direction * image).sum().ToDouble();
            if (!(curvature > 0)) break;
            var step = size / curvature;
            x.add_(direction, alpha: step);
            residual.add_(image, alpha: -step);
            residual.sub_(Means(residual));
            var next = residual.square().sum().ToDouble();
            direction.mul_(next / size).add_(residual);
            size = next;
        }

        return x;
    }
}
