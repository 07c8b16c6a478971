using LmcDsl.Core.Architectures;
using LmcDsl.Core.Data;
using LmcDsl.Core.Matching;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Measures;

/// <summary>How alike two models' units are in one permutation group, over examples (and positions).</summary>
/// <param name="Name">The group.</param>
/// <param name="Correlation">Pearson's correlation of unit i of one model with unit i of the other, mean over the units that vary in both; 0 where none does.</param>
/// <param name="Weighted">
/// The same with each unit counting by how much it varies: tr cov(x, y) / √(tr cov(x, x) tr cov(y, y)), x and y being the models' units in
/// their order; 0 where a model's units do not vary.
/// </param>
/// <param name="Kernel">
/// Linear centred kernel alignment (Kornblith et al., 1905.00414): 1 where one model's units are those of the other up to a rotation and a
/// scale, so that it does not depend on the order of units; 0 where a model's units do not vary.
/// </param>
public readonly record struct GroupActivations(string Name, double Correlation, double Weighted, double Kernel);

/// <summary>The agreement of two models' hidden activations on the same examples.</summary>
public static class ActivationAgreement
{
    private const int Batch = 500;

    /// <summary>Compares the units of two models, group by group.</summary>
    /// <param name="a">One model.</param>
    /// <param name="b">The other, of the same architecture and on the same device.</param>
    /// <param name="data">Examples, on the models' device.</param>
    /// <param name="examples">How many are read, from the first on; all where fewer are there.</param>
    /// <param name="progress">Called after each batch with the share done.</param>
    /// <returns>One for each group whose activations are read, in the network's order.</returns>
    /// <exception cref="LmcException">Two architectures, examples that do not fit, none asked for, or activations that are not finite; the line names the group.</exception>
    public static IReadOnlyList<GroupActivations> Between(
        ParameterSet a, ParameterSet b, DataSplit data, int examples, Action<double>? progress = null)
    {
        ParameterSet.RequireSameArchitecture(a, b);
        Guard.Require(examples >= 1, $"activations: expected 1 or more examples, found {examples}");
        Fit.Require(a, data, "activations");
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        var groups = a.Network.Groups;
        CrossMoments[] Empty() => [.. groups.Select(g => new CrossMoments(g.Units, a.Flat.device))];
        var (both, ofA, ofB) = (Empty(), Empty(), Empty());
        var count = Math.Min(examples, data.Count);
        for (var start = 0L; start < count; start += Batch)
        {
            using var batch = NewDisposeScope();
            var images = data.Images.narrow(0, start, Math.Min(Batch, count - start));
            var (left, right) = (ActivationSimilarity.Activations(a, images), ActivationSimilarity.Activations(b, images));
            foreach (var tap in a.Network.Taps)
            {
                var (x, y) = (ActivationSimilarity.ByUnit(left[tap.Node], tap), ActivationSimilarity.ByUnit(right[tap.Node], tap));
                both[tap.Group].Add(x, y);
                ofA[tap.Group].Add(x, x);
                ofB[tap.Group].Add(y, y);
            }

            progress?.Invoke((double)Math.Min(count, start + Batch) / count);
        }

        return [.. groups.Index().Where(at => both[at.Index].Any).Select(at => Of(at.Item.Name, both[at.Index], ofA[at.Index], ofB[at.Index]))];
    }

    private static GroupActivations Of(string name, CrossMoments both, CrossMoments ofA, CrossMoments ofB)
    {
        using var scope = NewDisposeScope();
        var (cross, left, right) = (both.Covariance(), ofA.Covariance(), ofB.Covariance());
        Guard.Require(
            cross.isfinite().all().item<bool>(), $"activations: expected finite ones in group '{name}', found NaN or infinity");
        var (deviations, others) = both.Deviations();
        var vary = (deviations > 0) & (others > 0);
        var units = vary.sum().ToInt64();
        var correlation = units == 0 ? 0 : (both.Correlation().diagonal() * vary).sum().ToDouble() / units;
        var norms = Norm(left) * Norm(right);
        var varying = Trace(left) * Trace(right);
        var weighted = varying > 0 ? Trace(cross) / Math.Sqrt(varying) : 0;
        return new GroupActivations(name, correlation, weighted, norms > 0 ? Math.Pow(Norm(cross), 2) / norms : 0);
    }

    private static double Trace(Tensor matrix) => matrix.diagonal().sum().ToDouble();

    private static double Norm(Tensor matrix) => matrix.norm().ToDouble();
}
