using System.Collections.Immutable;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// Something of which only the shape of what it gives is known. Everything that goes through it is fixed, which is always a symmetry; it
/// cannot be computed.
/// </summary>
public sealed class Opaque(string operation, ImmutableArray<int> shape) : Layer
{
    /// <summary>What people call it.</summary>
    public string Operation { get; } = operation;

    /// <summary>The shape of one example's output.</summary>
    public ImmutableArray<int> Shape { get; } = shape;

    /// <inheritdoc/>
    public override int Arity => 0;

    /// <inheritdoc/>
    public override string Title => Operation;

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        Guard.Require(!Shape.IsDefault && !string.IsNullOrEmpty(Operation), $"opaque layer: expected a name and a shape, found none");
        Sizes.Product("opaque layer: numbers of one example", Shape.AsSpan());
        wiring.Note($"{Operation} has no rule: all that goes through it is fixed");
        foreach (var axis in inputs.SelectMany(input => input.Axes)) wiring.Fix(axis);
        return Signal.Of([.. Shape.Select(wiring.Fixed)]);
    }

    /// <inheritdoc/>
    /// <exception cref="LmcException">Always.</exception>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode) =>
        throw new LmcException($"{Operation}: expected an operator that has a rule for computing, found none for it; its symmetries are known, its numbers are not");
}
