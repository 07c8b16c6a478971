using System.Collections.Immutable;
using System.Text.Json.Serialization;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>What is made of the entries along axes.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<ReductionFunction>))]
public enum ReductionFunction
{
    /// <summary>Their mean.</summary>
    Mean,

    /// <summary>Their sum.</summary>
    Sum,

    /// <summary>The largest.</summary>
    Maximum,

    /// <summary>The smallest.</summary>
    Minimum,

    /// <summary>Their product.</summary>
    Product,

    /// <summary>The sum of their absolute values.</summary>
    AbsoluteSum,

    /// <summary>The root of the sum of their squares.</summary>
    Norm,

    /// <summary>The sum of their squares.</summary>
    SquareSum,

    /// <summary>The logarithm of their sum.</summary>
    LogSum,

    /// <summary>The logarithm of the sum of their exponentials.</summary>
    LogSumExp,
}

/// <summary>
/// One number of all entries along some axes: no order of theirs changes it. The other axes keep their labels.
/// </summary>
public sealed class Reduction(ReductionFunction function, ImmutableArray<int> axes, bool keep = false) : Layer
{
    /// <summary>What is made of the entries.</summary>
    public ReductionFunction Function { get; } = function;

    /// <summary>The axes that go, from 0 on without the batch.</summary>
    public ImmutableArray<int> Axes { get; } = axes;

    /// <summary>Whether they stay, with one entry.</summary>
    public bool Keep { get; } = keep;

    /// <inheritdoc/>
    public override string Title => $"reduction {Function.ToString().ToLowerInvariant()}";

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        var axes = inputs[0].Axes;
        Guard.Require(
            !Axes.IsDefault && Axes.Distinct().Count() == Axes.Length && Axes.All(d => d >= 0 && d < axes.Length),
            $"reduction layer: expected different axes among {axes.Length}, found {(Axes.IsDefault ? "none" : string.Join(", ", Axes))}");
        var rest =
            from d in Enumerable.Range(0, axes.Length)
            where Keep || !Axes.Contains(d)
            select Axes.Contains(d) ? wiring.Fixed(1) : axes[d];
        return new Signal([.. rest]);
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode)
    {
        var x = inputs[0];
        if (Axes.IsEmpty) return x;
        long[] over = [.. Axes.Select(d => d + 1L)];
        return Function switch
        {
            ReductionFunction.Mean => x.mean(over, Keep),
            ReductionFunction.Sum => x.sum(over, Keep, x.dtype),
            ReductionFunction.Maximum => x.amax(over, Keep),
            ReductionFunction.Minimum => x.amin(over, Keep),
            ReductionFunction.Product => over.OrderDescending().Aggregate(x, (product, d) => product.prod(d, Keep, x.dtype)),
            ReductionFunction.AbsoluteSum => x.abs().sum(over, Keep, x.dtype),
            ReductionFunction.Norm => (x * x).sum(over, Keep, x.dtype).sqrt(),
            ReductionFunction.SquareSum => (x * x).sum(over, Keep, x.dtype),
            ReductionFunction.LogSum => x.sum(over, Keep, x.dtype).log(),
            ReductionFunction.LogSumExp => LogSumExp(x, over),
            _ => throw new ArgumentOutOfRangeException(nameof(Function), Function, "unknown reduction"),
        };
    }

    private Tensor LogSumExp(Tensor x, long[] over)
    {
        var largest = x.amax(over, keepdim: true);
        largest = where(largest.isfinite(), largest, zeros_like(largest));
        var sum = (x - largest).exp().sum(over, keepdim: true, x.dtype).log() + largest;
        return Keep ? sum : over.OrderDescending().Aggregate(sum, (rest, d) => rest.squeeze(d));
    }
}
