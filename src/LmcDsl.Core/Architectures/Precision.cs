using System.Text.Json.Serialization;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>In which numbers a network's linear layers multiply.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<Precision>))]
public enum Precision
{
    /// <summary>In float32, as everything else.</summary>
    Float32,

    /// <summary>
    /// In bfloat16 (8 bits of mantissa, float32's exponents): of linear layers (dense, convolutions) inputs, weights and outputs are
    /// rounded to it, and their gradients; the products' sums are in float32, as are the weights that training moves, norms, activations
    /// and losses (Micikevicius et al., 1710.03740; Kalamkar et al., 1905.12322).
    /// </summary>
    Mixed,
}

/// <summary>Computes layers in mixed precision.</summary>
internal static class MixedPrecision
{
    /// <summary>A layer's output, its products in bfloat16 where it is linear; gradients follow in float32.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="parameters">Its parameters, float32.</param>
    /// <param name="inputs">Its inputs, float32.</param>
    /// <param name="mode">Training or evaluation.</param>
    /// <returns>The output, float32.</returns>
    public static Tensor Forward(Layer layer, IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode) =>
        layer.Linear is null
            ? layer.Forward(parameters, inputs, mode)
            : layer.Forward(Rounded(parameters), Rounded(inputs), mode).to(ScalarType.Float32);

    private static Tensor[] Rounded(IReadOnlyList<Tensor> tensors) => [.. tensors.Select(t => t.to(ScalarType.BFloat16))];
}
