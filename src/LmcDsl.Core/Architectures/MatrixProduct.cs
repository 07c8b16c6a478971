using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// The product of two signals as matrices, <c>[..., rows, inner]</c> by <c>[..., inner, columns]</c>, for each entry of the axes before:
/// the inner axes are united, and those before too, one entry standing for many.
/// </summary>
public sealed class MatrixProduct : Layer
{
    /// <inheritdoc/>
    public override int Arity => 2;

    /// <inheritdoc/>
    public override string Title => "matrix product";

    /// <inheritdoc/>
    public override bool MultipliesInputs => true;

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        var (left, right) = (inputs[0].Axes, inputs[1].Axes);
        Guard.Require(
            left.Length >= 2 && right.Length >= 2 && left[^1].Size == right[^2].Size,
            $"matrix product layer: expected matrices [..., rows, inner] and [..., inner, columns], found {Guard.Show(inputs[0].Shape)} and {Guard.Show(inputs[1].Shape)}");
        wiring.Unite(left[^1], right[^2]);
        var before = left.Length == 2 && right.Length == 2
            ? []
            : Broadcasting.Wire(wiring, "matrix product layer", [[.. left.SkipLast(2)], [.. right.SkipLast(2)]]);
        return new Signal([.. before, left[^2], right[^1]]);
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode)
    {
        var same = Broadcasting.Numbers("matrix product layer", inputs);
        var (left, right) = (same[0], same[1]);
        // One matrix for all: the rows of all examples at once.
        if (right.shape.SkipLast(2).All(size => size == 1) && right.dim() <= left.dim())
            return left.matmul(right.reshape([right.shape[^2], right.shape[^1]]));
        var aligned = Broadcasting.Align([left, right]);
        return aligned[0].matmul(aligned[1]);
    }
}
