using LmcDsl.Core.Architectures;
using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Importing;

/// <summary>ResNet of basic or bottleneck blocks with batch norm, as torchvision has it, under other names.</summary>
internal sealed class ResNetTemplate : FolderTemplate
{
    private const int UsualSide = 224;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Types => ["resnet"];

    /// <inheritdoc/>
    public override IReadOnlyList<string> Prefixes => ["resnet."];

    /// <inheritdoc/>
    public override IReadOnlyList<string> Body => ["embedder.", "encoder."];

    /// <inheritdoc/>
    public override void Write(FolderBuilder to)
    {
        var config = to.Config;
        int channels = config.Size("num_channels", 3), width = config.Size("embedding_size", 64);
        int[] widths = config.Sizes("hidden_sizes", 256, 512, 1024, 2048), depths = to.Depths("depths", 3, 4, 6, 3);
        Guard.Require(
            widths.Length == depths.Length, $"{config.Path}: depths: expected one number for each of {widths.Length} hidden_sizes, found {depths.Length}");
        var isBasic = config.Only("layer_type", "bottleneck", "basic", "bottleneck") == "basic";
        var isFirst = config.Flag("downsample_in_first_stage", false);
        var isEarly = config.Flag("downsample_in_bottleneck", false);
        to.Image(channels, (UsualSide, UsualSide), isFree: true);
        Part(to, "embedder.embedder", width, 7, 2, isActive: true);
        to.Add("embedder.pooler", new Pooling(PoolingFunction.Max, 3, 2, 1));
        for (var s = 0; s < widths.Length; s++)
            for (var k = 0; k < depths[s]; k++)
            {
                var stride = k == 0 && (s > 0 || isFirst) ? 2 : 1;
                Block(to, $"encoder.stages.{s}.layers.{k}", width, widths[s], stride, isBasic, isEarly);
                width = widths[s];
            }

        var features = to.Last;
        to.Add("pooler", new AdaptivePooling(PoolingFunction.Average, 1, 1));
        var pooled = to.Add("flatten", new Flatten());
        if (to.Has("classifier.1.weight")) to.Output(to.Add("classifier.1", new Dense(to.Classes("classifier.1.weight"))));
        else to.Output(pooled);
        if (to.IsBare(pooled)) to.Output(features);
    }

    private static void Block(FolderBuilder to, string block, int inputs, int width, int stride, bool isBasic, bool isEarly)
    {
        var read = to.Last;
        var shortcut = read;
        if (inputs != width || stride != 1) shortcut = Part(to, $"{block}.shortcut", width, 1, stride, isActive: false, read);
        if (isBasic)
        {
            Part(to, $"{block}.layer.0", width, 3, stride, isActive: true, read);
            Part(to, $"{block}.layer.1", width, 3, 1, isActive: false);
        }
        else
        {
            var inner = Math.Max(1, width / 4);
            Part(to, $"{block}.layer.0", inner, 1, isEarly ? stride : 1, isActive: true, read);
            Part(to, $"{block}.layer.1", inner, 3, isEarly ? 1 : stride, isActive: true);
            Part(to, $"{block}.layer.2", width, 1, 1, isActive: false);
        }

        to.Sum($"{block}.sum", to.Last, shortcut);
        to.Activation($"{block}.act", "hidden_act", "relu");
    }

    private static string Part(FolderBuilder to, string name, int width, int kernel, int stride, bool isActive, params string[] from)
    {
        to.Add($"{name}.convolution", new Convolution(width, kernel, stride, kernel / 2), from);
        var last = to.Add($"{name}.normalization", new BatchNorm());
        return isActive ? to.Activation($"{name}.act", "hidden_act", "relu") : last;
    }
}
