using System.Collections.Immutable;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Data;

/// <summary>Where one batch begins and how many examples it has.</summary>
/// <param name="Start">Index of its first example.</param>
/// <param name="Count">How many.</param>
public readonly record struct Batch(long Start, long Count);

/// <summary>
/// Cuts examples into batches for training mode, in which batch norm divides by the deviation of the batch. Where it sees one value of
/// a channel for each example, as behind a dense layer, one example has no deviation: what would be left as such a batch goes to the
/// batch before.
/// </summary>
public static class Batches
{
    /// <summary>The fewest examples that a network's batch norms have a deviation on.</summary>
    /// <param name="network">The network.</param>
    /// <returns>2 where a batch norm sees one value of a channel for each example, else 1.</returns>
    public static int Least(Network network) => OfOneValue(network) is null ? 1 : 2;

    /// <summary>Requires a batch to be large enough for a network in training mode.</summary>
    /// <param name="network">The network.</param>
    /// <param name="count">Examples of the batch.</param>
    /// <param name="what">What is about to be done, for the message.</param>
    /// <exception cref="LmcException">It is too small; the line names the batch norm.</exception>
    public static void Require(Network network, long count, string what)
    {
        Guard.Require(count >= 1, $"{what}: expected a batch of 1 or more examples, found {count}");
        Guard.Require(
            count > 1 || OfOneValue(network) is null,
            $"{what}: batch norm '{OfOneValue(network)}' sees one value of each channel for an example, expected batches of 2 or more, found {count}");
    }

    /// <summary>Cuts examples into batches of one size; the last has what is left, or is joined to the one before where that is too few.</summary>
    /// <param name="network">The network that is to run over them in training mode.</param>
    /// <param name="count">All examples.</param>
    /// <param name="size">Examples of a batch.</param>
    /// <param name="what">What is about to be done, for the message.</param>
    /// <returns>The batches, in order.</returns>
    /// <exception cref="LmcException">Fewer examples, or a smaller size, than the network's batch norms need.</exception>
    public static ImmutableArray<Batch> Cut(Network network, long count, long size, string what)
    {
        Require(network, Math.Min(count, size), what);
        var full = Math.Max(1, count / size);
        var rest = count - full * size;
        var batches = ImmutableArray.CreateBuilder<Batch>();
        for (var k = 0L; k < full; k++) batches.Add(new Batch(k * size, Math.Min(size, count)));
        if (rest >= Least(network)) batches.Add(new Batch(full * size, rest));
        else if (rest > 0) batches[^1] = batches[^1] with { Count = size + rest };
        return batches.ToImmutable();
    }

    // The first batch norm that sees one value of a channel for each example.
    private static string? OfOneValue(Network network) => (
        from node in network.Architecture.Nodes
        where node.Layer is BatchNorm
        let read = network.Outputs.FirstOrDefault(output => output.Node == node.Inputs[0])
        let sizes = read is null ? network.Architecture.Input : [.. read.Axes.Select(axis => axis.Size)]
        where sizes.Skip(1).All(size => size == 1)
        select node.Name).FirstOrDefault();
}
