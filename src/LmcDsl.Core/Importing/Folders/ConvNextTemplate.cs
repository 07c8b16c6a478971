using LmcDsl.Core.Architectures;
using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Importing;

/// <summary>ConvNeXt: depthwise convolutions with two dense layers over channels in each block, norms over channels, the mean of the image classified.</summary>
internal sealed class ConvNextTemplate : FolderTemplate
{
    private const double Epsilon = 1e-6; // of norms within the image, which no field tells

    /// <inheritdoc/>
    public override IReadOnlyList<string> Types => ["convnext"];

    /// <inheritdoc/>
    public override IReadOnlyList<string> Prefixes => ["convnext."];

    /// <inheritdoc/>
    public override IReadOnlyList<string> Body => ["embeddings.", "encoder.", "layernorm."];

    /// <inheritdoc/>
    public override void Write(FolderBuilder to)
    {
        var config = to.Config;
        int channels = config.Size("num_channels", 3), side = config.Size("patch_size", 4);
        int[] widths = config.Sizes("hidden_sizes", 96, 192, 384, 768), depths = to.Depths("depths", 3, 3, 9, 3);
        Guard.Require(
            widths.Length == depths.Length && config.Size("num_stages", widths.Length) == widths.Length,
            $"{config.Path}: depths: expected one number for each of {widths.Length} hidden_sizes and num_stages, found {depths.Length} and {config.Size("num_stages", widths.Length)}");
        var image = config.Sizes("image_size", 224);
        to.Image(channels, (image[0], image[^1]), isFree: true);
        to.Add("embeddings.patch_embeddings", new Convolution(widths[0], side, side, 0, bias: true));
        Norm(to, "embeddings.layernorm");
        for (var s = 0; s < widths.Length; s++)
        {
            var stage = $"encoder.stages.{s}";
            if (s > 0)
            {
                Norm(to, $"{stage}.downsampling_layer.0");
                to.Add($"{stage}.downsampling_layer.1", new Convolution(widths[s], 2, 2, 0, bias: true));
            }

            for (var k = 0; k < depths[s]; k++) Block(to, $"{stage}.layers.{k}", widths[s], Sizes.Product($"{config.Path}: hidden_sizes", 4, widths[s]));
        }

        var features = to.Last;
        to.Add("pooler", new Reduction(ReductionFunction.Mean, [1, 2]));
        var pooled = to.Add("layernorm", new LayerNorm(config.Number("layer_norm_eps", 1e-12)));
        if (to.Has("classifier.weight")) to.Output(to.Add("classifier", new Dense(to.Classes("classifier.weight"))));
        else to.Output(pooled);
        if (to.IsBare(pooled)) to.Output(features);
    }

    // Over the channels of each position.
    private static void Norm(FolderBuilder to, string name)
    {
        to.Add($"{name}.last", new Transposition([1, 2, 0]));
        to.Add(name, new LayerNorm(Epsilon));
        to.Add($"{name}.first", new Transposition([2, 0, 1]));
    }

    private static void Block(FolderBuilder to, string block, int width, int inner)
    {
        var stream = to.Last;
        to.Add($"{block}.dwconv", new Convolution(width, 7, 1, 3, bias: true, groups: width));
        to.Add($"{block}.last", new Transposition([1, 2, 0]));
        to.Add($"{block}.layernorm", new LayerNorm(Epsilon));
        to.Add($"{block}.pwconv1", new Dense(inner));
        to.Activation($"{block}.act", "hidden_act", "gelu");
        var made = to.Add($"{block}.pwconv2", new Dense(width));
        if (to.Has($"{block}.layer_scale_parameter"))
        {
            to.Parameter($"{block}.layer_scale_parameter", ParameterRole.Bias, width);
            to.Add($"{block}.scaled", new Arithmetic(ArithmeticFunction.Multiply), made, to.Last);
        }

        to.Add($"{block}.first", new Transposition([2, 0, 1]));
        to.Sum($"{block}.sum", stream, to.Last);
    }
}
