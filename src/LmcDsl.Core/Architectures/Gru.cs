using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// A gated recurrent unit over sequences <c>[steps, features]</c>, giving <c>[steps, hidden]</c> (Cho et al., 1406.1078), with the parameters
/// of PyTorch's <c>nn.GRU</c> of one layer: <c>weight_ih_l0 [3 hidden, features]</c>, <c>weight_hh_l0</c> and both biases, the gates in the
/// order reset, update, new. Hidden units have one order in all gates.
/// </summary>
public sealed class Gru(int hidden) : Layer
{
    private const int Gates = 3;

    /// <summary>Number of hidden units.</summary>
    public int Hidden { get; } = hidden;

    /// <inheritdoc/>
    public override string Title => "GRU";

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        var axes = inputs[0].Axes;
        Guard.Require(Hidden is >= 1 and <= int.MaxValue / Gates, $"GRU layer: expected 1 or more hidden units, found {Hidden}");
        Guard.Require(axes.Length == 2, $"GRU layer: expected a sequence [steps, features], found a shape of {Guard.Show(inputs[0].Shape)}");
        // A step reads the one before: they come in one order.
        wiring.Fix(axes[0]);
        var (rows, units) = RecurrentLoop.Wire(wiring, Gates, Hidden);
        wiring.Parameter("weight_ih_l0", ParameterRole.Weight, Initializer.UniformFanIn, Hidden, rows, axes[1]);
        wiring.Parameter("weight_hh_l0", ParameterRole.Weight, Initializer.UniformFanIn, Hidden, rows, units);
        wiring.Parameter("bias_ih_l0", ParameterRole.Bias, Initializer.UniformFanIn, Hidden, rows);
        wiring.Parameter("bias_hh_l0", ParameterRole.Bias, Initializer.UniformFanIn, Hidden, rows);
        return Signal.Of(axes[0], units);
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode)
    {
        var x = inputs[0];
        Tensor[] weights = [.. parameters];
        var start = x.new_zeros([x.shape[0], Hidden]);
        return RecurrentLoop.Gru(x, weights, start, [1, 0, 2], resetAfter: true);
    }
}
