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
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs) =>
        RecurrentLoop.WireOwned(wiring, inputs[0], Title, Gates, Hidden);

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode)
    {
        var x = inputs[0];
        Tensor[] weights = [.. parameters];
        var start = x.new_zeros([x.shape[0], Hidden]);
        return RecurrentLoop.Gru(x, weights, start, [1, 0, 2], resetAfter: true);
    }
}
