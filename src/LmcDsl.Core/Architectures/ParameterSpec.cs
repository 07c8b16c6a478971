using System.Collections.Immutable;
using System.Text.Json.Serialization;
using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Architectures;

/// <summary>What a parameter is for.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<ParameterRole>))]
public enum ParameterRole
{
    /// <summary>A matrix or kernel whose first axis is the output and whose second is the input; the spectra are theirs.</summary>
    Weight,

    /// <summary>An additive bias, one number for each output.</summary>
    Bias,

    /// <summary>A norm's scale.</summary>
    NormWeight,

    /// <summary>A norm's shift.</summary>
    NormBias,

    /// <summary>A running statistic: kept up to date by training, never learned, left out of distances and objectives.</summary>
    Statistic,

    /// <summary>Stored with the model and never learned, such as a table of positions; moves with the units.</summary>
    Constant,
}

/// <summary>How a parameter's values are drawn before training.</summary>
public enum Initializer
{
    /// <summary>Uniform in ±1/sqrt(fan in): PyTorch's default for dense and convolution layers.</summary>
    UniformFanIn,

    /// <summary>All one.</summary>
    Ones,

    /// <summary>All zero.</summary>
    Zeros,

    /// <summary>Normal with deviation 0.02, as transformers have it since GPT.</summary>
    Small,

    /// <summary>Sines and cosines of positions, nothing drawn.</summary>
    Sinusoid,
}

/// <summary>One parameter of a network: its name, its axes and its place in the flat buffer.</summary>
/// <param name="Layer">The name of the layer that it belongs to: <c>fc1</c>.</param>
/// <param name="Local">Its name within the layer: <c>weight</c>.</param>
/// <param name="Role">What it is for.</param>
/// <param name="Axes">Its axes, each with its label.</param>
/// <param name="Initializer">How it is drawn.</param>
/// <param name="FanIn">Number of inputs that one output sums over, for <see cref="Initializer.UniformFanIn"/>.</param>
/// <param name="Offset">Index of its first number in the flat buffer.</param>
public sealed record ParameterSpec(
    string Layer, string Local, ParameterRole Role, ImmutableArray<Axis> Axes, Initializer Initializer, int FanIn, long Offset)
{
    /// <summary>The layer's name, a dot, and its own, as PyTorch writes it: <c>fc1.weight</c>; the layer's where it has no own.</summary>
    public string Name { get; } = Local.Length == 0 ? Layer : $"{Layer}.{Local}";

    /// <summary>Its shape.</summary>
    public long[] Shape => [.. Axes.Select(a => (long)a.Size)];

    /// <summary>How many numbers it has.</summary>
    public long Count { get; } = Axes.Aggregate(1L, (product, axis) => SaturatingProduct(product, axis.Size));

    /// <summary>Whether training learns it: everything but running statistics and constants.</summary>
    public bool Learned => Role is not (ParameterRole.Statistic or ParameterRole.Constant);

    private static long SaturatingProduct(long left, long right) => left > long.MaxValue / right ? long.MaxValue : left * right;

    /// <inheritdoc/>
    public override string ToString() => $"{Name} {Guard.Show(Shape)}";
}
