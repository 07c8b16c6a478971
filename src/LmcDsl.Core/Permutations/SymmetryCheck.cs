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
                var should = permutations.Apply(expected[k], network.Outputs[k].Moves);
                var error = (should - found[k]).abs().max().ToDouble() / Math.Max(1, should.abs().max().ToDouble());
                if (!(error <= Tolerance)) return new SymmetryBreak(network.Outputs[k].Node, error);
            }
        }

        return null;
    }

    private static List<Tensor> Outputs(ParameterSet parameters, Tensor input, Mode mode)
    {
        var outputs = new List<Tensor>();
        using var copy = parameters.Clone(); // training mode moves running statistics
        parameters.Network.Forward(copy.Views, input, mode, (_, output) => outputs.Add(output));
        return outputs;
    }
}
