using System.Buffers;

namespace LmcDsl.Core.Solvers;

/// <summary>A square cost matrix by rows and, once asked for, by columns.</summary>
internal ref struct CostMatrix(ReadOnlySpan<float> costs, int n)
{
    private readonly ReadOnlySpan<float> costs = costs;
    private float[]? byColumn;

    public readonly int Count => n;

    public readonly float this[int i, int j] => costs[i * n + j];

    public readonly ReadOnlySpan<float> Row(int i) => costs.Slice(i * n, n);

    public readonly ReadOnlySpan<float> Column(int j) => byColumn.AsSpan(j * n, n);

    public readonly bool HasColumns => byColumn is not null;

    /// <summary>Makes a copy by columns.</summary>
    public void WithColumns()
    {
        if (byColumn is not null) return;
        byColumn = ArrayPool<float>.Shared.Rent(costs.Length);
        CostScan.Transpose(costs, n, byColumn);
    }

    public void Dispose()
    {
        if (byColumn is not null) ArrayPool<float>.Shared.Return(byColumn);
        byColumn = null;
    }
}
