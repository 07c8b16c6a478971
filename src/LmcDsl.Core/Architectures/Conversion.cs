using System.Text.Json.Serialization;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>A type of numbers.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<NumberType>))]
public enum NumberType
{
    /// <summary>Single precision.</summary>
    Float32,

    /// <summary>Double precision.</summary>
    Float64,

    /// <summary>Half precision.</summary>
    Float16,

    /// <summary>The upper half of single precision.</summary>
    BFloat16,

    /// <summary>Whole numbers of 64 bits.</summary>
    Int64,

    /// <summary>Whole numbers of 32 bits.</summary>
    Int32,

    /// <summary>Whole numbers of 16 bits.</summary>
    Int16,

    /// <summary>Whole numbers of 8 bits.</summary>
    Int8,

    /// <summary>Whole numbers of 8 bits without a sign.</summary>
    UInt8,

    /// <summary>True or false.</summary>
    Bool,
}

/// <summary>The same numbers in another type, such as a mask as numbers. It keeps every axis's label.</summary>
public sealed class Conversion(NumberType to) : Layer
{
    /// <summary>The type.</summary>
    public NumberType To { get; } = to;

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs) => inputs[0];

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode) => inputs[0].to(To switch
    {
        NumberType.Float32 => ScalarType.Float32,
        NumberType.Float64 => ScalarType.Float64,
        NumberType.Float16 => ScalarType.Float16,
        NumberType.BFloat16 => ScalarType.BFloat16,
        NumberType.Int64 => ScalarType.Int64,
        NumberType.Int32 => ScalarType.Int32,
        NumberType.Int16 => ScalarType.Int16,
        NumberType.Int8 => ScalarType.Int8,
        NumberType.UInt8 => ScalarType.Byte,
        NumberType.Bool => ScalarType.Bool,
        _ => throw new ArgumentOutOfRangeException(nameof(To), To, "unknown type"),
    });
}
