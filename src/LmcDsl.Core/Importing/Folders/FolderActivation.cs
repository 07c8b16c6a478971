using LmcDsl.Core.Architectures;
using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Importing;

/// <summary>Activations by the names that <c>config.json</c> has for them.</summary>
internal static class FolderActivation
{
    private static readonly Dictionary<string, Func<Layer>> Known = new()
    {
        ["gelu"] = () => new Activation(ActivationFunction.Gelu),
        ["gelu_python"] = () => new Activation(ActivationFunction.Gelu),
        ["gelu_new"] = Tangent,
        ["gelu_fast"] = Tangent,
        ["gelu_accurate"] = Tangent,
        ["gelu_pytorch_tanh"] = Tangent,
        ["gelu_python_tanh"] = Tangent,
        ["quick_gelu"] = () => new Elementary(ElementaryFunction.Swish, 1.702),
        ["relu"] = () => new Activation(ActivationFunction.Relu),
        ["relu6"] = () => new Activation(ActivationFunction.Relu6),
        ["leaky_relu"] = () => new Elementary(ElementaryFunction.LeakyRelu, 0.01),
        ["silu"] = () => new Activation(ActivationFunction.Silu),
        ["swish"] = () => new Activation(ActivationFunction.Silu),
        ["mish"] = () => new Elementary(ElementaryFunction.Mish),
        ["tanh"] = () => new Activation(ActivationFunction.Tanh),
        ["sigmoid"] = () => new Activation(ActivationFunction.Sigmoid),
    };

    /// <summary>The layer of a field's activation.</summary>
    /// <param name="config">The description.</param>
    /// <param name="field">The field.</param>
    /// <param name="other">The activation that is meant where there is no field.</param>
    /// <returns>The layer.</returns>
    /// <exception cref="LmcException">The name is not known; the line lists those that are.</exception>
    public static Layer Of(FolderConfig config, string field, string other) => Named(config, field, config.Text(field, other));

    /// <summary>The layer of an activation that a field names together with something else.</summary>
    /// <param name="config">The description.</param>
    /// <param name="field">The field, for messages.</param>
    /// <param name="name">The activation's name.</param>
    /// <returns>The layer.</returns>
    /// <exception cref="LmcException">The name is not known; the line lists those that are.</exception>
    public static Layer Named(FolderConfig config, string field, string name) => Known.TryGetValue(name, out var make)
        ? make()
        : throw new LmcException($"{config.Path}: {field}: expected one of {string.Join(", ", Known.Keys)}, found '{Excerpt.Of(name, 60)}'; {FolderConfig.Elsewhere}");

    // GELU with a tangent in the place of the error function, written in several ways.
    private static Elementary Tangent() => new(ElementaryFunction.GeluTanh);
}
