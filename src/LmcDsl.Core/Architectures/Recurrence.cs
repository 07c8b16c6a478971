using System.Text.Json.Serialization;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>Kinds of recurrent layers.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<RecurrentCell>))]
public enum RecurrentCell
{
    /// <summary>A long short-term memory, its gates in the order input, output, forget, cell; gives hidden states.</summary>
    Lstm,

    /// <summary>The same, which gives its cells.</summary>
    LstmCells,

    /// <summary>A gated recurrent unit, its gates in the order update, reset, new; the reset gate acts before the product.</summary>
    Gru,

    /// <summary>The same, whose reset gate acts after the product, as in PyTorch.</summary>
    GruResetAfter,

    /// <summary>No gates; the hyperbolic tangent.</summary>
    Tanh,

    /// <summary>No gates; ReLU.</summary>
    Relu,
}

/// <summary>
/// A recurrent layer whose weights are signals, as ONNX has it: inputs are the sequence <c>[steps, features]</c>, the weights
/// <c>[directions, gates * hidden, features]</c> and <c>[directions, gates * hidden, hidden]</c>, the biases
/// <c>[directions, 2 * gates * hidden]</c>, the first hidden states <c>[directions, hidden]</c> and, of an LSTM, the first cells. It gives
/// <c>[steps, directions, hidden]</c>. Hidden units have one order in all gates and directions.
/// </summary>
public sealed class Recurrence(RecurrentCell cell, bool reverse = false) : Layer
{
    private const string What = "recurrence layer";

    /// <summary>Which kind.</summary>
    public RecurrentCell Cell { get; } = cell;

    /// <summary>Whether the only direction is from the last step to the first.</summary>
    public bool Reverse { get; } = reverse;

    /// <inheritdoc/>
    public override int Arity => IsLstm ? 6 : 5;

    private bool IsLstm => Cell is RecurrentCell.Lstm or RecurrentCell.LstmCells;

    private int Gates => IsLstm ? 4 : Cell is RecurrentCell.Gru or RecurrentCell.GruResetAfter ? 3 : 1;

    /// <inheritdoc/>
    public override bool MultipliesInputs => true;

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        var (x, w, r, b) = (inputs[0].Axes, inputs[1].Axes, inputs[2].Axes, inputs[3].Axes);
        Guard.Require(
            x.Length == 2 && w.Length == 3 && r.Length == 3 && b.Length == 2 && w[0].Size is 1 or 2 && (w[0].Size == 1 || !Reverse)
                && w[2].Size == x[1].Size,
            $"{What}: expected a sequence [steps, features] and weights for it, found {Guard.Show(inputs[0].Shape)} and {Guard.Show(inputs[1].Shape)}");
        var (directions, hidden) = (w[0].Size, r[2].Size);
        Guard.Require(
            r[0].Size == directions && w[1].Size == (long)Gates * hidden && r[1].Size == w[1].Size && b[0].Size == directions
                && b[1].Size == 2L * w[1].Size
                && inputs.Skip(4).All(start => start.Shape.SequenceEqual([directions, hidden])),
            $"{What}: expected weights, biases and starts of {hidden} hidden units, found {string.Join(", ", inputs.Skip(1).Select(input => Guard.Show(input.Shape)))}");
        wiring.Fix(x[0]);
        foreach (var axis in new[] { w[0], r[0], b[0] }) wiring.Fix(axis);
        var (rows, units) = RecurrentLoop.Wire(wiring, Gates, hidden);
        wiring.Unite(w[2], x[1]);
        wiring.Unite(b[1], wiring.Product(wiring.Fixed(2), rows));
        wiring.Unite(w[1], rows);
        wiring.Unite(r[1], rows);
        wiring.Unite(r[2], units);
        foreach (var start in inputs.Skip(4))
        {
            wiring.Fix(start.Axes[0]);
            wiring.Unite(start.Axes[1], units);
        }

        return Signal.Of(x[0], wiring.Fixed(directions), units);
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode)
    {
        inputs = Broadcasting.Numbers("recurrent layer", inputs);
        var x = inputs[0];
        // Weights that depend on the example: one after the other.
        if (inputs.Skip(1).Take(3).Any(input => input.shape[0] > 1))
        {
            var all = Broadcasting.SameBatch(inputs);
            return cat([.. Enumerable.Range(0, (int)all[0].shape[0]).Select(k =>
                Forward(parameters, [.. all.Select(input => input.narrow(0, k, 1))], mode))]);
        }

        var directions = (int)inputs[1].shape[1];
        return stack([.. Enumerable.Range(0, directions).Select(d => Direction(x, inputs, d, Reverse || d == 1))], 2);
    }

    private Tensor Direction(Tensor x, IReadOnlyList<Tensor> inputs, int d, bool reverse)
    {
        var biases = inputs[3][0][d].chunk(2);
        Tensor[] weights = [inputs[1][0][d], inputs[2][0][d], biases[0], biases[1]];
        Tensor Start(int input) => inputs[input].select(1, d).expand([x.shape[0], -1]);
        return Cell switch
        {
            RecurrentCell.Lstm => RecurrentLoop.Lstm(x, weights, (Start(4), Start(5)), [0, 1, 2, 3], reverse).Hidden,
            RecurrentCell.LstmCells => RecurrentLoop.Lstm(x, weights, (Start(4), Start(5)), [0, 1, 2, 3], reverse).Cells,
            RecurrentCell.Gru => RecurrentLoop.Gru(x, weights, Start(4), [0, 1, 2], resetAfter: false, reverse),
            RecurrentCell.GruResetAfter => RecurrentLoop.Gru(x, weights, Start(4), [0, 1, 2], resetAfter: true, reverse),
            _ => RecurrentLoop.Plain(x, weights, Start(4), Cell == RecurrentCell.Relu, reverse),
        };
    }
}
