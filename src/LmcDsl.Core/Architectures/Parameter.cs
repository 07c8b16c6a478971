using System.Collections.Immutable;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// A parameter as a signal, for layers that take their weights as they take what flows: a position embedding that is added, a weight that
/// two products share. It has the layer's own name, and an order of its own along each axis. It reads the network's input only to be in
/// its place.
/// </summary>
public sealed class Parameter(ImmutableArray<int> shape, ParameterRole role = ParameterRole.Weight) : Layer
{
    /// <summary>The parameter's shape.</summary>
    public ImmutableArray<int> Shape { get; } = shape;

    /// <summary>What it is for.</summary>
    public ParameterRole Role { get; } = role;

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        Guard.Require(
            !Shape.IsDefault && (Role != ParameterRole.Weight || Shape.Length >= 1), $"parameter layer: expected a shape, found none");
        Sizes.Product("parameter layer: numbers", Shape.AsSpan());
        Axis[] axes = [.. Shape.Select(size => size == 1 ? wiring.Fixed(1) : wiring.Fresh(size))];
        var initializer = Role switch
        {
            ParameterRole.NormWeight => Initializer.Ones,
            ParameterRole.NormBias or ParameterRole.Statistic => Initializer.Zeros,
            _ => Initializer.UniformFanIn,
        };
        wiring.Parameter("", Role, initializer, Shape.Length == 0 ? 1 : Shape[^1], axes);
        return Signal.Of(axes);
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode) => parameters[0].unsqueeze(0);
}
