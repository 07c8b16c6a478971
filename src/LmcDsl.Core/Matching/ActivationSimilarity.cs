using LmcDsl.Core.Architectures;
using LmcDsl.Core.Data;
using LmcDsl.Core.Measures;
using LmcDsl.Core.Permutations;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>
/// How the units of two models vary together over examples, group by group. Moments are summed batch by batch, so memory does not grow with
/// the data; a convolution's channels are compared over all positions.
/// </summary>
internal sealed class ActivationSimilarity
{
    private readonly string search; // as messages call it
    private readonly ParameterSet a;
    private readonly ParameterSet b;
    private readonly Tensor first; // examples of one batch, of which something overflowed
    private readonly long count;
    private readonly CrossMoments[] moments;
    private readonly HashSet<int> read;

    /// <summary>Reads examples with both models.</summary>
    /// <param name="search">What messages call the search.</param>
    /// <param name="a">The reference.</param>
    /// <param name="b">The model to permute, of the same architecture and on the same device.</param>
    /// <param name="data">Examples, on the models' device.</param>
    /// <param name="examples">How many are read, from the first on; all where fewer are there.</param>
    /// <param name="batch">Examples in one forward pass.</param>
    /// <param name="progress">Called after each batch with the share done.</param>
    /// <exception cref="LmcException">Two architectures, examples that do not fit, or none asked for.</exception>
    public ActivationSimilarity(
        string search, ParameterSet a, ParameterSet b, DataSplit data, int examples, int batch, Action<double>? progress)
    {
        ParameterSet.RequireSameArchitecture(a, b);
        Guard.Require(
            examples >= 1 && batch >= 1, $"{search}: expected 1 or more examples and a batch of 1 or more, found {examples} and {batch}");
        Fit.Require(a, data, search);
        (this.search, this.a, this.b) = (search, a, b);
        count = Math.Min(examples, data.Count);
        first = data.Images.narrow(0, 0, Math.Min(batch, count));
        // Copies are compared by what is in them, wherever that has an order of its own.
        var around = a.Network.Taps.Select(tap => (tap.Node, Group: a.Network.Groups[tap.Group].Parent)).ToHashSet();
        Tap[] taps = [.. a.Network.Taps.Where(tap => !around.Contains((tap.Node, tap.Group)))];
        read = [.. taps.Select(tap => tap.Group)];
        moments = [.. a.Network.Groups.Select(g => new CrossMoments(g.Units, a.Flat.device))];
        for (var start = 0L; start < count; start += batch)
        {
            using var scope = NewDisposeScope();
            var images = data.Images.narrow(0, start, Math.Min(batch, count - start));
            var (left, right) = (Activations(a, images), Activations(b, images));
            foreach (var tap in taps)
                moments[tap.Group].Add(ByUnit(left[tap.Node], tap), ByUnit(right[tap.Node], tap));
            progress?.Invoke((double)Math.Min(count, start + batch) / count);
        }
    }

    /// <summary>Whether activations of a group's units are read anywhere.</summary>
    /// <param name="group">The group.</param>
    public bool Reads(int group) => read.Contains(group);

    /// <summary>How each unit of the reference varies with each of the other model.</summary>
    /// <param name="group">The group.</param>
    /// <param name="correlation">By correlation, 0 where a unit does not vary, and not by covariance.</param>
    /// <returns><c>[units, units]</c> in double, in the caller's dispose scope.</returns>
    /// <exception cref="LmcException">Activations are not finite; the line names the group and the model.</exception>
    public Tensor Between(int group, bool correlation)
    {
        var covariance = moments[group].Covariance();
        if (!covariance.isfinite().all().item<bool>())
            throw new LmcException(
                $"{search}: expected finite activations in group '{a.Network.Groups[group].Name}', found {WhatOverflowed()}");
        return correlation ? moments[group].Correlation() : covariance;
    }

    /// <summary>Requires a group's activations to vary in both models.</summary>
    /// <param name="group">The group.</param>
    /// <exception cref="LmcException">They do not; the line names the group and the model.</exception>
    public void RequireVarying(int group)
    {
        using var scope = NewDisposeScope();
        var (left, right) = moments[group].Deviations();
        var (varies, otherVaries) = ((left > 0).any().item<bool>(), (right > 0).any().item<bool>());
        Guard.Require(
            varies && otherVaries,
            $"{search}: expected activations in group '{a.Network.Groups[group].Name}' that vary over {count} examples, found constant ones in {(varies ? "the model to align" : "the reference model")}");
    }

    private string WhatOverflowed()
    {
        foreach (var (model, name) in new[] { (a, "the reference model"), (b, "the model to align") })
            if (Overflow.In(model, first) is var where && !where.EndsWith("logits", StringComparison.Ordinal)) return $"{where} of {name}";
        return "NaN or infinity";
    }

    /// <summary>The outputs at a network's taps, by node.</summary>
    internal static Dictionary<string, Tensor> Activations(ParameterSet model, Tensor images)
    {
        var wanted = model.Network.Taps.Select(tap => tap.Node).ToHashSet();
        var outputs = new Dictionary<string, Tensor>();
        model.Network.Forward(model.Views, images, Mode.Evaluation, (name, output) =>
        {
            if (wanted.Contains(name)) outputs[name] = output.alias();
        });
        return outputs;
    }

    /// <summary>A tap's units in rows: <c>[units, examples and positions]</c>.</summary>
    internal static Tensor ByUnit(Tensor output, Tap tap)
    {
        if (!tap.Axis.IsWhole) return UnitView.Matrix(output, tap.Axis);
        var units = output.shape[tap.Dimension] / tap.Block;
        return output.transpose(0, tap.Dimension).reshape([units, -1]);
    }
}
