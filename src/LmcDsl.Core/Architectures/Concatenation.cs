using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// Puts the channels, or features, or another axis, of several signals after one another. Each keeps its labels: the parts are permuted by themselves.
/// </summary>
public sealed class Concatenation(int axis = 0) : Layer
{
    /// <summary>The axis, from 0 on without the batch.</summary>
    public int Axis { get; } = axis;

    /// <inheritdoc/>
    public override int Arity => 0;

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        var first = inputs[0].Axes;
        foreach (var input in inputs)
        {
            Guard.Require(
                Axis >= 0 && Axis < input.Axes.Length && input.Axes.Length == first.Length
                    && Rest(input).Zip(Rest(inputs[0])).All(pair => pair.First.Size == pair.Second.Size),
                $"concatenation layer: expected inputs of one shape but for {(Axis == 0 ? "the first axis" : $"axis {Axis}")}, found {Guard.Show(inputs[0].Shape)} and {Guard.Show(input.Shape)}");
            foreach (var (left, right) in Rest(inputs[0]).Zip(Rest(input))) wiring.Unite(left, right);
        }

        return new Signal(first.SetItem(Axis, wiring.Concatenation([.. inputs.Select(input => input.Axes[Axis])])));
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode) =>
        cat(Broadcasting.SameBatch(inputs), Axis + 1);

    private IEnumerable<Axis> Rest(Signal signal) => signal.Axes.Where((_, d) => d != Axis);
}
