using System.Collections.Immutable;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// Numbers that are part of what the network is, such as a mask. An axis along which they do not change has no order that could matter;
/// every other is fixed. It reads the network's input only to be in its place.
/// </summary>
public sealed class Constant(ImmutableArray<int> shape, string values, ImmutableArray<int>? distinct = null, string type = "float32") : Layer
{
    // As JSON calls them.
    private static readonly Dictionary<string, ScalarType> Known = new()
    {
        ["float32"] = ScalarType.Float32,
        ["float64"] = ScalarType.Float64,
        ["float16"] = ScalarType.Float16,
        ["bfloat16"] = ScalarType.BFloat16,
        ["int64"] = ScalarType.Int64,
        ["int32"] = ScalarType.Int32,
        ["int16"] = ScalarType.Int16,
        ["int8"] = ScalarType.Int8,
        ["uint8"] = ScalarType.Byte,
        ["bool"] = ScalarType.Bool,
    };

    private Tensor? made; // on the CPU, for as long as the layer lives

    /// <summary>The numbers' shape.</summary>
    public ImmutableArray<int> Shape { get; } = shape;

    /// <summary>The numbers in base64, the lowest byte first, as a tensor of the shape <see cref="Distinct"/>.</summary>
    public string Values { get; } = values;

    /// <summary>How many entries are stored along each axis: 1 where all are the same; the shape where nothing is said.</summary>
    public ImmutableArray<int>? Distinct { get; } = distinct;

    /// <summary>The numbers' type.</summary>
    public string Type { get; } = type;

    private ImmutableArray<int> Stored => Distinct ?? Shape;

    /// <summary>A layer that gives a tensor's numbers.</summary>
    /// <param name="numbers">The tensor, without a batch.</param>
    /// <returns>The layer.</returns>
    /// <exception cref="LmcException">The numbers are of a type that has no name here.</exception>
    internal static Constant Of(Tensor numbers)
    {
        using var scope = NewDisposeScope();
        var name = Known.FirstOrDefault(type => type.Value == numbers.dtype).Key;
        Guard.Require(name is not null, $"constant layer: expected a type among {string.Join(", ", Known.Keys)}, found {numbers.dtype}");
        var kept = numbers.detach().cpu();
        for (var d = 0; d < kept.dim(); d++)
        {
            if (kept.shape[d] <= 1) continue;
            var first = kept.narrow(d, 0, 1);
            if ((first == kept).all().item<bool>()) kept = first;
        }

        ImmutableArray<int> shape = [.. numbers.shape.Select(size => (int)size)], stored = [.. kept.shape.Select(size => (int)size)];
        return new Constant(
            shape, Convert.ToBase64String(kept.contiguous().bytes), stored.SequenceEqual(shape) ? null : stored, name!);
    }

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        const string What = "constant layer";
        Guard.Require(!Shape.IsDefault && Values is not null, $"{What}: expected a shape and values, found none");
        Guard.Require(Known.ContainsKey(Type), $"{What}: expected a type among {string.Join(", ", Known.Keys)}, found '{Type}'");
        Sizes.Product($"{What}: numbers", Shape.AsSpan());
        Guard.Require(
            Stored.Length == Shape.Length && Stored.Zip(Shape).All(pair => pair.First == pair.Second || pair.First == 1),
            $"{What}: expected as many entries as the shape {string.Join(" x ", Shape)} has or 1, found {string.Join(" x ", Stored)}");
        var bytes = new byte[Values!.Length];
        var numbers = Stored.Aggregate(1L, (product, size) => product * size);
        using var one = zeros(1, Known[Type]);
        Guard.Require(
            Convert.TryFromBase64String(Values, bytes, out var count) && count == numbers * one.bytes.Length,
            $"{What}: expected {numbers * one.bytes.Length} bytes in base64, found {count}");
        return Signal.Of([.. Shape.Select((size, d) => Stored[d] == size ? wiring.Fixed(size) : wiring.Fresh(size))]);
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode)
    {
        var found = made;
        if (found is null)
        {
            using var quiet = no_grad();
            using var scope = NewDisposeScope();
            var flat = zeros(Stored.Aggregate(1L, (product, size) => product * size), Known[Type]);
            flat.bytes = Convert.FromBase64String(Values);
            found = flat.reshape([1, .. Stored.Select(size => (long)size)]).DetachFromDisposeScope();
            made = found;
        }

        return found.to(inputs[0].device).expand([1, .. Shape.Select(size => (long)size)]);
    }
}
