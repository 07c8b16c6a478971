using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// A long short-term memory over sequences <c>[steps, features]</c>, giving <c>[steps, hidden]</c> (Hochreiter and Schmidhuber, 1997), with
/// the parameters of PyTorch's <c>nn.LSTM</c> of one layer: <c>weight_ih_l0 [4 hidden, features]</c>, <c>weight_hh_l0</c> and both biases,
/// the gates in the order input, forget, cell, output. Hidden units have one order in all gates.
/// </summary>
public sealed class Lstm(int hidden) : Layer
{
    private const int Gates = 4;

    /// <summary>Number of hidden units.</summary>
    public int Hidden { get; } = hidden;

    /// <inheritdoc/>
    public override string Title => "LSTM";

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs) =>
        RecurrentLoop.WireOwned(wiring, inputs[0], Title, Gates, Hidden);

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode)
    {
        var x = inputs[0];
        Tensor[] weights = [.. parameters];
        var start = x.new_zeros([x.shape[0], Hidden]);
        return RecurrentLoop.Lstm(x, weights, (start, start), [0, 3, 1, 2]).Hidden;
    }
}
