using LmcDsl.Core.Architectures;
using static TorchSharp.torch;

namespace LmcDsl.Core.Measures;

/// <summary>Finds where a number that cannot be had came from, for messages.</summary>
internal static class Overflow
{
    /// <summary>Requires every number of a model, running statistics included, to be finite.</summary>
    /// <param name="model">The model.</param>
    /// <param name="what">What the message begins with, for example <c>distance: the first model</c>.</param>
    /// <exception cref="Runtime.LmcException">One is not; the line names the parameter.</exception>
    public static void Refuse(ParameterSet model, string what)
    {
        if (InParameters(model) is { } where) throw new Runtime.LmcException($"{what}: expected finite numbers, found {where}");
    }

    /// <summary>The first place with NaN or infinity when a model runs over a batch.</summary>
    /// <param name="model">The model; left as it is.</param>
    /// <param name="images">The batch.</param>
    /// <param name="mode">How its norms behave.</param>
    /// <returns>For example <c>NaN or infinity in the output of layer 'fc2'</c>.</returns>
    public static string In(ParameterSet model, Tensor images, Mode mode = Mode.Evaluation)
    {
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        if (InParameters(model) is { } parameter) return parameter;
        if (!IsFinite(images)) return "NaN or infinity in the images";
        string? layer = null;
        using var copy = model.Clone(); // training mode moves running statistics
        copy.Network.Forward(copy.Views, images, mode, (name, output) =>
        {
            if (layer is null && !IsFinite(output)) layer = name;
        });
        return layer is null ? "NaN or infinity in the logits" : $"NaN or infinity in the output of layer '{layer}'";
    }

    private static string? InParameters(ParameterSet model)
    {
        foreach (var (spec, view) in model.Network.Parameters.Zip(model.Views))
            if (!float.IsFinite(Magnitude.Of(view))) return $"NaN or infinity in '{spec.Name}'";
        return null;
    }

    private static bool IsFinite(Tensor tensor) => tensor.isfinite().all().item<bool>();
}
