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
        foreach (var (group, permutation) in network.Groups.Zip(Permutations))
            Guard.Require(
                group.Parent < 0 || Follows(permutation, Permutations[group.Parent]),
                $"group '{group.Name}': expected a permutation that moves copies as that of '{(group.Parent < 0 ? "" : network.Groups[group.Parent].Name)}' does, found another");
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
    public static PermutationSet Random(Network network, long seed)
    {
        var drawn = new Permutation[network.Groups.Length];
        foreach (var k in network.Order())
        {
            var (group, random) = (network.Groups[k], Seeds.Random(seed, "permutation", k));
            var units = group.Units / group.Copies;
            drawn[k] = group.Parent < 0
                ? Permutation.Random(units, random)
                : Inside(drawn[group.Parent], [.. Enumerable.Range(0, group.Copies).Select(_ => Permutation.Random(units, random))]);
        }

        return new PermutationSet(network, drawn);
    }

    /// <summary>The permutation of units in copies that moves the copies, and orders the units within each.</summary>
    /// <param name="copies">Where each copy comes from.</param>
    /// <param name="within">For each copy, in its new place, where its units come from.</param>
    /// <returns>The permutation of all units.</returns>
    internal static Permutation Inside(Permutation copies, IReadOnlyList<Permutation> within) =>
        new(copies.Sources.SelectMany((copy, place) => within[place].Sources.Select(unit => copy * within[place].Count + unit)));

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

    /// <summary>The same without a copy.</summary>
    /// <param name="parameters">The parameters; changed.</param>
    public void ApplyInPlace(ParameterSet parameters)
    {
        using var quiet = no_grad();
        ApplyInPlace(parameters, _ => true);
    }

    /// <summary>Applies every group's permutation to some of the parameters.</summary>
    /// <param name="parameters">The parameters to change.</param>
    /// <param name="which">Those that are changed.</param>
    internal void ApplyInPlace(ParameterSet parameters, Func<ParameterSpec, bool> which) => ApplyInPlace(parameters.Views, which);

    /// <summary>Applies every group's permutation to tensors of any type, one for each parameter.</summary>
    /// <param name="parameters">The tensors to change.</param>
    /// <param name="which">Those that are changed.</param>
    internal void ApplyInPlace(IReadOnlyList<Tensor> parameters, Func<ParameterSpec, bool> which)
    {
        foreach (var g in Network.Order())
        {
            var within = Within(g);
            foreach (var axis in Network.Groups[g].Axes)
                if (which(Network.Parameters[axis.Parameter])) UnitView.Permute(parameters[axis.Parameter], axis, within);
        }
    }

    /// <summary>Permutes a node's output as its units are permuted.</summary>
    /// <param name="output">The output, the batch first; left as it is.</param>
    /// <param name="moves">Which groups move what of it.</param>
    /// <returns>A new tensor, in the caller's dispose scope.</returns>
    internal Tensor Apply(Tensor output, IEnumerable<(int Group, PermutedAxis Axis)> moves)
    {
        var result = output.clone();
        foreach (var (group, axis) in moves.OrderBy(move => Network.Groups[move.Group].Depth)) UnitView.Permute(result, axis, Within(group));
        return result;
    }

    // Copies are moved by their own group; what is left to this one are the units within each.
    private Permutation Within(int group) =>
        Network.Groups[group].Parent < 0 ? Permutations[group] : Permutations[group].Within(Network.Groups[group].Copies);

    private static bool Follows(Permutation units, Permutation copies)
    {
        var each = units.Count / copies.Count;
        return Enumerable.Range(0, units.Count).All(place => units.Sources[place] / each == copies.Sources[place / each]);
    }

    /// <summary>Applies the permutations to one parameter alone, of any type of numbers: they move and do not change.</summary>
    /// <param name="values">The parameter's numbers, contiguous; changed.</param>
    /// <param name="parameter">Index of the parameter.</param>
    internal void ApplyInPlace(Tensor values, int parameter)
    {
        foreach (var g in Network.Order())
            foreach (var axis in Network.Groups[g].Axes)
                if (axis.Parameter == parameter) UnitView.Permute(values, axis, Within(g));
    }
}
