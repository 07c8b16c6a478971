using LmcDsl.Core.Architectures;
using LmcDsl.Core.Permutations;
using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>
/// A network's permutations relaxed to doubly stochastic matrices, one for each group, of free logits. Of units that have an order in each
/// copy, such as those of heads, the matrix is made of blocks, one for each pair of copies: how far the one copy takes the other's place, times how
/// its units then lie. So each matrix is doubly stochastic over all units, and permutations of copies with orders within them are its corners.
/// </summary>
/// <param name="network">The network.</param>
/// <param name="options">Temperature, passes, rate, noise and seed.</param>
/// <param name="device">Where the matrices lie.</param>
internal sealed class SinkhornMatrices(Network network, SinkhornMatchingOptions options, Device device) : IDisposable
{
    private readonly SinkhornLogits[] logits =
        [.. network.Groups.Select((group, g) => new SinkhornLogits(group.Units, group.Copies, options, g, device))];

    /// <summary>The matrices of the logits as they are, from which the next step climbs.</summary>
    /// <returns>One for each group, <c>[units, units]</c>, in the caller's dispose scope, which holds the step too.</returns>
    public Tensor[] Matrices() => Matrices(isClimbed: true);

    /// <summary>Of each group how its units lie where one copy takes another's place, as of the matrices that were last given; null of others.</summary>
    public Tensor?[] Pairs => [.. logits.Select(own => own.Pairs)];

    /// <summary>The same where permutations were taken: of copies that take another's place, the order in which their units do.</summary>
    /// <param name="hard">The permutations.</param>
    /// <returns>As <see cref="Pairs"/>, in the caller's dispose scope.</returns>
    public Tensor?[] PairsAt(PermutationSet hard)
    {
        var pairs = Pairs;
        for (var g = 0; g < pairs.Length; g++)
        {
            if (pairs[g] is not { } soft) continue;
            var (copies, units, sources) = (network.Groups[g].Copies, (int)soft.shape[1], hard.Permutations[g].Sources);
            pairs[g] = soft.clone();
            for (var copy = 0; copy < copies; copy++)
            {
                var order = new Permutation(sources.Skip(copy * units).Take(units).Select(source => source % units));
                pairs[g]![copy * copies + sources[copy * units] / units].copy_(SoftPermutation.Matrix(order, device));
            }
        }

        return pairs;
    }

    /// <summary>One step up the objective.</summary>
    /// <param name="gradients">Its gradients with respect to the matrices that were last given; those of copies are added to.</param>
    /// <param name="ofPairs">Those with respect to <see cref="Pairs"/>, where they count by themselves.</param>
    /// <param name="units">What 1 in each group's gradient stands for.</param>
    /// <param name="step">Counted from 1.</param>
    public void Climb(Tensor[] gradients, Tensor?[] ofPairs, Func<int, double> units, int step)
    {
        using var quiet = no_grad();
        // What copies gain is told by what lies within them.
        foreach (var g in network.Order().Reverse())
            if (logits[g].Climb(gradients[g], ofPairs[g], step) is { } outer)
            {
                var parent = network.Groups[g].Parent;
                gradients[parent].add_(outer, alpha: units(g) / units(parent));
            }
    }

    /// <summary>The permutations nearest to the matrices.</summary>
    /// <returns>The permutations.</returns>
    public PermutationSet Round()
    {
        using var scope = NewDisposeScope();
        return new PermutationSet(network, SoftPermutation.Nearest(network, Matrices(isClimbed: false)));
    }

    /// <summary>Frees the logits.</summary>
    public void Dispose()
    {
        foreach (var own in logits) own.Dispose();
    }

    private Tensor[] Matrices(bool isClimbed)
    {
        using var quiet = no_grad();
        var matrices = new Tensor[logits.Length];
        foreach (var g in network.Order())
            matrices[g] = logits[g].Matrix(network.Groups[g].Parent is >= 0 and var parent ? matrices[parent] : null, isClimbed);
        return matrices;
    }
}
