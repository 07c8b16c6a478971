using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// exp(x) over its sum along one axis, or the logarithm of that. The sum runs over the whole axis, so that a permutation of it permutes
/// the output: every axis keeps its label.
/// </summary>
public sealed class Softmax(int axis = -1, bool logarithm = false) : Layer
{
    /// <summary>The axis, from 0 on without the batch; below 0, from the end.</summary>
    public int Axis { get; } = axis;

    /// <summary>Whether the logarithm is given.</summary>
    public bool Logarithm { get; } = logarithm;

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        var rank = inputs[0].Axes.Length;
        Guard.Require(Axis >= -rank && Axis < rank, $"softmax layer: expected one of {rank} axes, found {Axis}");
        return inputs[0];
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode)
    {
        var dimension = Axis < 0 ? Axis : Axis + 1;
        return Logarithm ? nn.functional.log_softmax(inputs[0], dimension) : nn.functional.softmax(inputs[0], dimension);
    }
}
