using LmcDsl.Core.Architectures;
using static TorchSharp.torch;

namespace LmcDsl.Core.Permutations;

/// <summary>A layer whose output does not follow the permutation that it should.</summary>
/// <param name="Node">The layer's name.</param>
/// <param name="Error">Largest difference from what it should be, as a share of the output's largest entry (or of 1, if that is larger).</param>
public readonly record struct SymmetryBreak(string Node, double Error);

/// <summary>
/// The law of the derived groups, run on a network: with permuted parameters every layer must give the same output with its
/// units permuted, and the last one the same output. For users' own layers and architectures.
/// </summary>
public static class SymmetryCheck
{
    /// <summary>Rounding of float32 through a deep network stays well below this share.</summary>
    public const double Tolerance = 1e-3;

    private const int Examples = 9;

    /// <summary>Draws parameters, permutations and inputs, and compares layer by layer.</summary>
    /// <param name="network">The network.</param>
    /// <param name="seed">Seed of all three.</param>
    /// <returns>The first layer that breaks the law, or nothing where all keep it.</returns>
    public static SymmetryBreak? FirstBreak(Network network, long seed = 0)
    {
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        using var generator = Runtime.Seeds.Generator(seed, "symmetry check");
        var permutations = PermutationSet.Random(network, seed);
        // Norms drawn too: at their initial ones and zeros a wrong axis would not show.
        using var original = new ParameterSet(network, randn(network.TotalCount, generator: generator).mul_(0.5));
        // Running variances must be positive; means may be as well.
        original.Flat.narrow(0, network.LearnedCount, network.TotalCount - network.LearnedCount).abs_().add_(0.5);
        using var permuted = permutations.Apply(original);
        var input = network.DrawInput(Examples, generator);

        return FirstBreak(original, permuted, permutations, input);
    }

    internal static SymmetryBreak? FirstBreak(
        ParameterSet original, ParameterSet permuted, PermutationSet permutations, Tensor input)
    {
        var network = original.Network;
        foreach (var mode in new[] { Mode.Evaluation, Mode.Training })
        {
            var expected = Outputs(original, input, mode);
            var found = Outputs(permuted, input, mode);
            for (var k = 0; k < network.Outputs.Length; k++)
            {
                var error = Error(permutations.Apply(expected[k], network.Outputs[k].Moves), found[k], 1);
                if (!(error <= Tolerance)) return new SymmetryBreak(network.Outputs[k].Node, error);
            }
        }

        return null;
    }

    /// <summary>How far the law is from being kept, with a model's own numbers.</summary>
    /// <param name="model">The model.</param>
    /// <param name="seed">Seed of the permutations and of the inputs.</param>
    /// <param name="elements">How many permutations are drawn.</param>
    /// <returns>
    /// Where the largest difference is, as a share of what is largest there, NaN where one is not a number; and at how many nodes it was looked
    /// for: all but those from the first one on that cannot be computed.
    /// </returns>
    public static (SymmetryBreak Largest, int Nodes) Measure(ParameterSet model, long seed = 0, int elements = 3)
    {
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        using var generator = Runtime.Seeds.Generator(seed, "symmetry check");
        var network = model.Network;
        var input = network.DrawInput(2, generator);
        // Where entries of tables are looked up, whole numbers beyond 0 and 1.
        if (network.Architecture.Nodes.Any(node => node.Layer is Lookup)) input = input.mul(10).round();
        var (largest, nodes) = (new SymmetryBreak(network.Outputs[^1].Node, 0), network.Outputs.Length);
        var expected = Computed(model, input);
        for (var k = 0; k < elements; k++)
        {
            using var inner = NewDisposeScope();
            var permutations = PermutationSet.Random(network, Runtime.Seeds.Derive(seed, "element", k));
            using var permuted = permutations.Apply(model);
            var found = Computed(permuted, input);
            nodes = Math.Min(nodes, Math.Min(found.Count, expected.Count));
            for (var node = 0; node < nodes; node++)
            {
                var error = Error(permutations.Apply(expected[node], network.Outputs[node].Moves), found[node], 1e-2);
                if (!double.IsNaN(largest.Error) && !(error <= largest.Error)) largest = new SymmetryBreak(network.Outputs[node].Node, error);
            }
        }

        return (largest, nodes);
    }

    // Of each node until one cannot be computed.
    private static List<Tensor> Computed(ParameterSet parameters, Tensor input)
    {
        var outputs = new List<Tensor>();
        if (parameters.Network.Architecture.Nodes.All(node => node.Layer is not Opaque)) return Outputs(parameters, input, Mode.Evaluation);
        try
        {
            parameters.Network.Forward(parameters.Views, input, Mode.Evaluation, (_, output) => outputs.Add(output.alias()));
        }
        catch (Runtime.LmcException)
        {
            // What comes after is not computed.
        }

        return outputs;
    }

    private static double Error(Tensor should, Tensor found, double least)
    {
        var (one, other) = (should.to(ScalarType.Float32), found.to(ScalarType.Float32));
        // Where a mask puts infinities they are the same ones.
        var apart = where(one == other, zeros_like(one), one - other).abs().max().ToDouble();
        var size = where(one.isfinite(), one, zeros_like(one)).abs().max().ToDouble();
        return apart / Math.Max(least, size);
    }

    private static List<Tensor> Outputs(ParameterSet parameters, Tensor input, Mode mode)
    {
        var outputs = new List<Tensor>();
        using var copy = mode == Mode.Training ? parameters.Clone() : null; // it moves running statistics
        parameters.Network.Forward((copy ?? parameters).Views, input, mode, (_, output) => outputs.Add(output.alias()));
        return outputs;
    }
}
