using System.Numerics;

namespace LmcDsl.Core.Solvers;

/// <summary>A partial assignment while it grows, with the columns' potentials v.</summary>
/// <typeparam name="T">What potentials are counted in: float or double.</typeparam>
internal sealed class PartialAssignment<T>
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    public PartialAssignment(int n)
    {
        Count = n;
        ColumnOf = new int[n];
        RowOf = new int[n];
        Potential = new T[n];
        Array.Fill(ColumnOf, -1);
        Array.Fill(RowOf, -1);
    }

    public int Count { get; }

    /// <summary>The column of each row, or -1.</summary>
    public int[] ColumnOf { get; }

    /// <summary>The row of each column, or -1.</summary>
    public int[] RowOf { get; }

    /// <summary>v. Invariant: an assigned row's column has the least cost - v of the row.</summary>
    public T[] Potential { get; }

    public List<int> FreeRows() => [.. Enumerable.Range(0, Count).Where(i => ColumnOf[i] < 0)];

    /// <summary>Gives row i column j; a row that had it is put out.</summary>
    public void Assign(int i, int j)
    {
        var displaced = RowOf[j];
        if (displaced >= 0 && displaced != i) ColumnOf[displaced] = -1;
        ColumnOf[i] = j;
        RowOf[j] = i;
    }

    public void Release(int i)
    {
        RowOf[ColumnOf[i]] = -1;
        ColumnOf[i] = -1;
    }
}
