using System.Collections.Immutable;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Permutations;

/// <summary>
/// A permutation P of n units, as the list of where each entry comes from: <c>(P x)[i] = x[Sources[i]]</c>. As a matrix,
/// <c>P[i, Sources[i]] = 1</c>.
/// </summary>
public sealed class Permutation : IEquatable<Permutation>
{
    /// <summary>Takes a list of sources.</summary>
    /// <param name="sources">Each of 0 .. n-1 once.</param>
    /// <exception cref="LmcException">A number is out of range or comes twice.</exception>
    public Permutation(IEnumerable<int> sources)
    {
        Sources = [.. sources];
        var seen = new bool[Sources.Length];
        foreach (var s in Sources)
        {
            Guard.Require(
                (uint)s < (uint)seen.Length && !seen[s],
                $"permutation of {seen.Length}: expected each of 0..{seen.Length - 1} once, found {s} out of range or twice");
            seen[s] = true;
        }
    }

    /// <summary>Where each entry of the result comes from.</summary>
    public ImmutableArray<int> Sources { get; }

    /// <summary>Number of units.</summary>
    public int Count => Sources.Length;

    /// <summary>Whether nothing moves.</summary>
    public bool IsIdentity => !Moving.Any();

    /// <summary>The units that change place.</summary>
    public IEnumerable<int> Moving => Enumerable.Range(0, Count).Where(i => Sources[i] != i);

    /// <summary>The permutation that moves nothing.</summary>
    /// <param name="n">Number of units.</param>
    /// <returns>The identity.</returns>
    public static Permutation Identity(int n) => new(Enumerable.Range(0, n));

    /// <summary>Draws a permutation, each equally likely.</summary>
    /// <param name="n">Number of units.</param>
    /// <param name="random">The source of chance.</param>
    /// <returns>The permutation.</returns>
    public static Permutation Random(int n, Random random)
    {
        int[] sources = [.. Enumerable.Range(0, n)];
        random.Shuffle(sources);
        return new Permutation(sources);
    }

    /// <summary>This permutation after another: <c>(P.After(Q)) x = P (Q x)</c>.</summary>
    /// <param name="first">The one applied first.</param>
    /// <returns>The composition.</returns>
    /// <exception cref="LmcException">The two are of different sizes.</exception>
    public Permutation After(Permutation first)
    {
        Guard.Require(first.Count == Count, $"expected two permutations of one size, found {Count} and {first.Count}");
        return new Permutation(Sources.Select(s => first.Sources[s]));
    }

    /// <summary>The permutation that undoes this one.</summary>
    /// <returns>The inverse.</returns>
    public Permutation Inverse()
    {
        var sources = new int[Count];
        for (var i = 0; i < Count; i++) sources[Sources[i]] = i;
        return new Permutation(sources);
    }

    /// <summary>
    /// Of units in copies, what is left when the copies have moved: each unit from its place within its own copy.
    /// </summary>
    /// <param name="copies">How many copies; unit u of copy i is number <c>i * (Count / copies) + u</c>.</param>
    /// <returns>The permutation; it keeps each unit in its copy.</returns>
    internal Permutation Within(int copies)
    {
        var units = Count / copies;
        return new Permutation(Sources.Select((source, place) => place / units * units + source % units));
    }

    /// <summary>The move of whole copies, as it moves the units in them.</summary>
    /// <param name="units">Units in each copy.</param>
    /// <returns>A permutation of <c>Count * units</c>.</returns>
    internal Permutation Carrying(int units) =>
        new(Sources.SelectMany(copy => Enumerable.Range(copy * units, units)));

    /// <summary>Reorders one dimension of a tensor.</summary>
    /// <param name="tensor">The tensor; left as it is.</param>
    /// <param name="dimension">The dimension, of <c>Count * block</c> entries.</param>
    /// <param name="block">Neighbouring entries that move as one.</param>
    /// <returns>A new tensor of the same shape, in the caller's dispose scope.</returns>
    /// <exception cref="LmcException">The dimension has another size.</exception>
    public Tensor Apply(Tensor tensor, int dimension = 0, int block = 1)
    {
        RequireSize(tensor, dimension, block);
        using var entries = Entries(Sources.AsSpan(), block).to(tensor.device);
        return tensor.index_select(dimension, entries);
    }

    /// <summary>
    /// Reorders one dimension of a tensor where it lies. Only what changes place is copied, and of a large tensor a part at a time.
    /// </summary>
    /// <param name="tensor">The tensor to change.</param>
    /// <param name="dimension">The dimension, of <c>Count * block</c> entries.</param>
    /// <param name="block">Neighbouring entries that move as one.</param>
    /// <exception cref="LmcException">The dimension has another size.</exception>
    public void ApplyInPlace(Tensor tensor, int dimension = 0, int block = 1)
    {
        RequireSize(tensor, dimension, block);
        int[] units = [.. Moving];
        if (units.Length == 0) return;
        using var scope = NewDisposeScope();
        var to = Entries(units, block).to(tensor.device);
        var from = Entries([.. units.Select(u => Sources[u])], block).to(tensor.device);
        var matrix = tensor.dim() == 1 ? tensor.unsqueeze(1) : tensor;
        // Parts along another dimension: none reads what an earlier one wrote.
        var across = dimension == 0 ? 1 : 0;
        foreach (var (at, count) in Parts.Of(matrix.shape[across], matrix.numel() * units.Length / Count))
        {
            using var inner = NewDisposeScope();
            var part = matrix.narrow(across, at, count);
            part.index_copy_(dimension, to, part.index_select(dimension, from));
        }
    }

    /// <inheritdoc/>
    public bool Equals(Permutation? other) => other is not null && Sources.AsSpan().SequenceEqual(other.Sources.AsSpan());

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as Permutation);

    /// <inheritdoc/>
    public override int GetHashCode()
    {
        var hash = default(HashCode);
        foreach (var s in Sources) hash.Add(s);
        return hash.ToHashCode();
    }

    /// <inheritdoc/>
    public override string ToString() => $"[{string.Join(' ', Sources)}]";

    /// <summary>The entries of a dimension that belong to some units.</summary>
    /// <param name="units">The units.</param>
    /// <param name="block">Neighbouring entries of each.</param>
    /// <returns>Their places, int64, on the CPU.</returns>
    internal static Tensor Entries(ReadOnlySpan<int> units, int block)
    {
        var entries = new long[units.Length * block];
        for (var i = 0; i < units.Length; i++)
            for (var k = 0; k < block; k++)
                entries[i * block + k] = (long)units[i] * block + k;
        return tensor(entries);
    }

    private void RequireSize(Tensor tensor, int dimension, int block) =>
        Guard.Require(
            tensor.shape[dimension] == (long)Count * block,
            $"expected dimension {dimension} of size {Count * block} but got {Guard.Show(tensor.shape)}");
}
