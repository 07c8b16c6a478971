using LmcDsl.Core.Architectures;
using LmcDsl.Core.Data;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>
/// How often tokens occur. Rows of tokens that hardly occur say little of what a model does, and tables have many of them: matching can let
/// each row count by its token's frequency.
/// </summary>
public static class TokenFrequencies
{
    private const string What = "matching by the frequency of tokens";

    /// <summary>The share of each token among the inputs of examples.</summary>
    /// <param name="network">A network that reads tokens.</param>
    /// <param name="data">Examples, tokens <c>[examples, positions]</c>.</param>
    /// <returns>One share for each token that the network knows; their sum is 1.</returns>
    /// <exception cref="LmcException">The network reads no tokens, or there are no examples.</exception>
    public static double[] Of(Network network, DataSplit data)
    {
        if (network.Vocabulary is not { } vocabulary)
            throw new LmcException($"{What}: expected a network that reads tokens, found {network.Architecture.Name}");
        Fit.Require(network, data, What);
        using var scope = NewDisposeScope();
        var counts = data.Images.flatten().bincount(null, vocabulary).to(ScalarType.Float64);
        var all = counts.sum().ToDouble();
        Guard.Require(all > 0, $"{What}: expected examples, found none");
        return [.. counts.div(all).cpu().data<double>()];
    }

    /// <summary>The parameters that have a row for each token: tables, and the weight of a dense layer that ends the network.</summary>
    internal static HashSet<string> TablesOf(Architecture architecture)
    {
        var tables = architecture.Nodes.Where(node => node.Layer is Embedding).ToArray();
        var last = architecture.Nodes[^1];
        HashSet<string> names = [.. tables.Select(node => $"{node.Name}.weight")];
        if (last.Layer is Dense dense && tables.Any(node => node.Layer.Vocabulary == dense.Units)) names.Add($"{last.Name}.weight");
        return names;
    }
}
