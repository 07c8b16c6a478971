using LmcDsl.Core.Architectures;
using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Importing;

/// <summary>A vision transformer: patches behind a class token, norms before each part, the class token classified, or features alone.</summary>
internal sealed class VitTemplate : FolderTemplate
{
    /// <inheritdoc/>
    public override IReadOnlyList<string> Types => ["vit"];

    /// <inheritdoc/>
    public override IReadOnlyList<string> Prefixes => ["vit."];

    /// <inheritdoc/>
    public override IReadOnlyList<string> Body => ["embeddings.", "encoder.", "layernorm.", "pooler."];

    /// <inheritdoc/>
    public override void Write(FolderBuilder to)
    {
        var config = to.Config;
        int width = config.Size("hidden_size"), heads = config.Size("num_attention_heads"), layers = to.Layers("num_hidden_layers");
        int inner = config.Size("intermediate_size"), channels = config.Size("num_channels", 3);
        int[] image = config.Sizes("image_size", 224), patch = config.Sizes("patch_size", 16);
        var (height, across, side) = (image[0], image[^1], patch[0]);
        Guard.Require(
            image.Length <= 2 && patch.Length <= 2 && patch[^1] == side && height % side == 0 && across % side == 0,
            $"{config.Path}: patch_size: expected square patches that divide images of {height} x {across}, found {string.Join(" x ", patch)}");
        var epsilon = config.Number("layer_norm_eps", 1e-12);
        var bias = config.Flag("qkv_bias", true);
        to.Image(channels, (height, across), isFree: false);
        Embeddings(to, width, side, Sizes.Product($"{config.Path}: patches", height / side, across / side));
        for (var k = 0; k < layers; k++) Block(to, $"encoder.layer.{k}", width, heads, inner, epsilon, bias);
        var features = to.Add("layernorm", new LayerNorm(epsilon));
        Heads(to, features);
    }

    private static void Embeddings(FolderBuilder to, int width, int side, int patches)
    {
        to.Add("embeddings.patch_embeddings.projection", new Convolution(width, side, side, 0, bias: true));
        var sequence = to.Add("embeddings.patches", new Sequence());
        if (to.Has("embeddings.mask_token"))
        {
            // In the place of patches that are to be guessed: of none.
            to.Parameter("embeddings.mask_token", ParameterRole.Bias, 1, 1, width);
            var mask = to.Add("embeddings.mask", new Reshaping([1, width]));
            sequence = to.Add("embeddings.masked", new Choice(), to.Never("embeddings.never"), mask, sequence);
        }

        to.Parameter("embeddings.cls_token", ParameterRole.Bias, 1, 1, width);
        to.Add("embeddings.class", new Reshaping([1, width]));
        var tokens = to.Add("embeddings.tokens", new Concatenation(0), to.Last, sequence);
        to.Parameter("embeddings.position_embeddings", ParameterRole.Weight, 1, patches + 1, width);
        to.Add("embeddings.positions", new Reshaping([patches + 1, width]));
        to.Sum("embeddings.sum", tokens, to.Last);
    }

    private static void Block(FolderBuilder to, string block, int width, int heads, int inner, double epsilon, bool bias)
    {
        var (stream, self) = (to.Last, $"{block}.attention.attention");
        to.Add($"{block}.layernorm_before", new LayerNorm(epsilon));
        to.Attention(
            self, new DotProductAttention(heads),
            ($"{self}.query", new Dense(width, bias)), ($"{self}.key", new Dense(width, bias)), ($"{self}.value", new Dense(width, bias)));
        to.Add($"{block}.attention.output.dense", new Dense(width));
        stream = to.Sum($"{block}.sum_1", stream, to.Last);
        to.Add($"{block}.layernorm_after", new LayerNorm(epsilon));
        to.Add($"{block}.intermediate.dense", new Dense(inner));
        to.Activation($"{block}.intermediate.act", "hidden_act", "gelu");
        to.Add($"{block}.output.dense", new Dense(width));
        to.Sum($"{block}.sum_2", stream, to.Last);
    }

    private static void Heads(FolderBuilder to, string features)
    {
        var first = to.Add("class", new Gathering(0, [0], drop: true), features);
        if (to.Has("classifier.weight")) to.Output(to.Add("classifier", new Dense(to.Classes("classifier.weight")), first));
        to.Features(features);
        if (!to.Has("pooler.dense.weight")) return;
        to.Add("pooler.dense", new Dense(to.Config.Size("pooler_output_size", to.Config.Size("hidden_size"))), first);
        to.Output(to.Activation("pooler.act", "pooler_act", "tanh"));
    }
}
