using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// What recurrent layers compute, step by step: from <c>[batch, steps, features]</c> to <c>[batch, steps, hidden]</c>. Weights are
/// <c>[gates * hidden, inputs]</c>, biases <c>[gates * hidden]</c>; where a gate's rows are is said by its place among the gates.
/// </summary>
internal static class RecurrentLoop
{
    /// <summary>The axes of the weights of a layer with gates: each gate has rows for all hidden units.</summary>
    public static (Axis Rows, Axis Hidden) Wire(Wiring wiring, int gates, int hidden)
    {
        var units = wiring.Fresh(hidden);
        return (gates == 1 ? units : wiring.Product(wiring.Fixed(gates), units), units);
    }

    /// <summary>Wires a layer that owns its weights, under PyTorch's names: a sequence to the hidden states of each step.</summary>
    /// <param name="wiring">Where to declare them.</param>
    /// <param name="input">The sequence.</param>
    /// <param name="title">What messages call the layer.</param>
    /// <param name="gates">Number of gates.</param>
    /// <param name="hidden">Number of hidden units.</param>
    public static Signal WireOwned(Wiring wiring, Signal input, string title, int gates, int hidden)
    {
        var axes = input.Axes;
        Guard.Require(hidden >= 1 && hidden <= int.MaxValue / gates, $"{title} layer: expected 1 or more hidden units, found {hidden}");
        Guard.Require(axes.Length == 2, $"{title} layer: expected a sequence [steps, features], found a shape of {Guard.Show(input.Shape)}");
        // A step reads the one before: they come in one order.
        wiring.Fix(axes[0]);
        var (rows, units) = Wire(wiring, gates, hidden);
        wiring.Parameter("weight_ih_l0", ParameterRole.Weight, Initializer.UniformFanIn, hidden, rows, axes[1]);
        wiring.Parameter("weight_hh_l0", ParameterRole.Weight, Initializer.UniformFanIn, hidden, rows, units);
        wiring.Parameter("bias_ih_l0", ParameterRole.Bias, Initializer.UniformFanIn, hidden, rows);
        wiring.Parameter("bias_hh_l0", ParameterRole.Bias, Initializer.UniformFanIn, hidden, rows);
        return Signal.Of(axes[0], units);
    }

    /// <summary>A long short-term memory (Hochreiter and Schmidhuber, 1997): the hidden states and the cells.</summary>
    /// <param name="x">The sequence.</param>
    /// <param name="weights">Of inputs, of hidden states, and both biases.</param>
    /// <param name="start">The first hidden state and cell, <c>[batch, hidden]</c>.</param>
    /// <param name="places">Places of the input, output, forget and cell gate.</param>
    /// <param name="reverse">Whether the last step comes first.</param>
    public static (Tensor Hidden, Tensor Cells) Lstm(
        Tensor x, Tensor[] weights, (Tensor Hidden, Tensor Cell) start, int[] places, bool reverse = false)
    {
        var read = nn.functional.linear(x, weights[0], weights[2]);
        var (hidden, cell) = start;
        var size = weights[1].shape[1];
        var (hiddens, cells) = (new Tensor[x.shape[1]], new Tensor[x.shape[1]]);
        foreach (var t in Steps(x, reverse))
        {
            var gates = read.select(1, t) + nn.functional.linear(hidden, weights[1], weights[3]);
            var parts = places.Select(place => gates.narrow(1, place * size, size)).ToArray();
            cell = parts[2].sigmoid() * cell + parts[0].sigmoid() * parts[3].tanh();
            hidden = parts[1].sigmoid() * cell.tanh();
            (hiddens[t], cells[t]) = (hidden, cell);
        }

        return (stack(hiddens, 1), stack(cells, 1));
    }

    /// <summary>A gated recurrent unit (Cho et al., 1406.1078): the hidden states.</summary>
    /// <param name="x">The sequence.</param>
    /// <param name="weights">Of inputs, of hidden states, and both biases.</param>
    /// <param name="start">The first hidden state, <c>[batch, hidden]</c>.</param>
    /// <param name="places">Places of the update, reset and new gate.</param>
    /// <param name="resetAfter">Whether the reset gate acts after the product with the weight, as in PyTorch.</param>
    /// <param name="reverse">Whether the last step comes first.</param>
    public static Tensor Gru(Tensor x, Tensor[] weights, Tensor start, int[] places, bool resetAfter, bool reverse = false)
    {
        var read = nn.functional.linear(x, weights[0], weights[2]);
        var (hidden, size) = (start, weights[1].shape[1]);
        var hiddens = new Tensor[x.shape[1]];
        Tensor Part(Tensor of, int gate) => of.narrow(of.dim() - 1, places[gate] * size, size);
        foreach (var t in Steps(x, reverse))
        {
            var own = read.select(1, t);
            var past = nn.functional.linear(hidden, weights[1], weights[3]);
            var update = (Part(own, 0) + Part(past, 0)).sigmoid();
            var reset = (Part(own, 1) + Part(past, 1)).sigmoid();
            var fresh = resetAfter
                ? reset * Part(past, 2)
                : nn.functional.linear(reset * hidden, weights[1].narrow(0, places[2] * size, size), Part(weights[3], 2));
            hidden = update * hidden + (1 - update) * (Part(own, 2) + fresh).tanh();
            hiddens[t] = hidden;
        }

        return stack(hiddens, 1);
    }

    /// <summary>A recurrent layer without gates: the hidden states, tanh or ReLU of what is read and what was.</summary>
    public static Tensor Plain(Tensor x, Tensor[] weights, Tensor start, bool relu, bool reverse = false)
    {
        var read = nn.functional.linear(x, weights[0], weights[2]);
        var hidden = start;
        var hiddens = new Tensor[x.shape[1]];
        foreach (var t in Steps(x, reverse))
        {
            hidden = read.select(1, t) + nn.functional.linear(hidden, weights[1], weights[3]);
            hidden = relu ? hidden.relu() : hidden.tanh();
            hiddens[t] = hidden;
        }

        return stack(hiddens, 1);
    }

    private static IEnumerable<int> Steps(Tensor x, bool reverse)
    {
        var steps = Enumerable.Range(0, (int)x.shape[1]);
        return reverse ? steps.Reverse() : steps;
    }
}
