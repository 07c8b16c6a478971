using System.Collections.Immutable;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Permutations;

/// <summary>
/// One permutation for each group of a network: an element of its symmetry group. Applied to parameters it gives other
/// parameters that compute the same function (Git Re-Basin, 2209.04836, section 2).
/// </summary>
public sealed class PermutationSet
{
    /// <summary>Takes one permutation for each group.</summary>
    /// <param name="network">The network.</param>
    /// <param name="permutations">In the order of the network's groups.</param>
    /// <exception cref="LmcException">Their number or a size differs; the line names the group.</exception>
    public PermutationSet(Network network, IEnumerable<Permutation> permutations)
    {
        Network = network;
        Permutations = [.. permutations];
        Guard.Require(
            Permutations.Length == network.Groups.Length,
            $"network '{network.Architecture.Name}': expected {network.Groups.Length} permutations, found {Permutations.Length}");
        foreach (var (group, permutation) in network.Groups.Zip(Permutations))
            Guard.Require(
                group.Units == permutation.Count,
                $"group '{group.Name}': expected a permutation of {group.Units}, found one of {permutation.Count}");
    }

    /// <summary>The network whose units are permuted.</summary>
    public Network Network { get; }

    /// <summary>One permutation for each of the network's groups.</summary>
    public ImmutableArray<Permutation> Permutations { get; }

    /// <summary>The element that moves nothing.</summary>
    /// <param name="network">The network.</param>
    /// <returns>The identity.</returns>
    public static PermutationSet Identity(Network network) =>
        new(network, network.Groups.Select(g => Permutation.Identity(g.Units)));

    /// <summary>Draws an element, each equally likely.</summary>
    /// <param name="network">The network.</param>
    /// <param name="seed">The seed.</param>
    /// <returns>The element.</returns>
    public static PermutationSet Random(Network network, long seed) =>
        new(network, network.Groups.Select((g, k) => Permutation.Random(g.Units, Seeds.Random(seed, "permutation", k))));

    /// <summary>This element after another, group by group.</summary>
    /// <param name="first">The one applied first.</param>
    /// <returns>The composition.</returns>
    public PermutationSet After(PermutationSet first) =>
        new(Network, Permutations.Zip(first.Permutations, (p, q) => p.After(q)));

    /// <summary>The element that undoes this one.</summary>
    /// <returns>The inverse.</returns>
    public PermutationSet Inverse() => new(Network, Permutations.Select(p => p.Inverse()));

    /// <summary>Applies every group's permutation to all the parameter axes that it moves.</summary>
    /// <param name="parameters">The parameters; left as they are.</param>
    /// <returns>New parameters, on the same device, that compute the same function up to rounding.</returns>
    public ParameterSet Apply(ParameterSet parameters)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var result = parameters.Clone();
        ApplyInPlace(result, _ => true);
        return result;
    }

    /// <summary>Applies every group's permutation to the parameters themselves.</summary>
    /// <param name="parameters">The parameters to change.</param>
    /// <param name="which">Those that are changed.</param>
    internal void ApplyInPlace(ParameterSet parameters, Func<ParameterSpec, bool> which)
    {
        foreach (var (group, permutation) in Network.Groups.Zip(Permutations))
            foreach (var (parameter, dimension, block) in group.Axes)
                if (which(Network.Parameters[parameter])) permutation.ApplyInPlace(parameters.Views[parameter], dimension, block);
    }

    /// <summary>Applies the permutations to one parameter alone, of any type of numbers: they move and do not change.</summary>
    /// <param name="values">The parameter's numbers, contiguous; changed.</param>
    /// <param name="parameter">Index of the parameter.</param>
    internal void ApplyInPlace(Tensor values, int parameter)
    {
        foreach (var (group, permutation) in Network.Groups.Zip(Permutations))
            foreach (var axis in group.Axes)
                if (axis.Parameter == parameter) permutation.ApplyInPlace(values, axis.Dimension, axis.Block);
    }
}
