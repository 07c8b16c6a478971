using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Architectures;

/// <summary>Residual networks and the blocks that they are made of (He et al., 1512.03385, figures 2 and 5).</summary>
internal static class ResNet
{
    private static readonly Dictionary<int, (int[] Blocks, bool Bottleneck)> Plans = new()
    {
        [18] = ([2, 2, 2, 2], false),
        [34] = ([3, 4, 6, 3], false),
        [50] = ([3, 4, 6, 3], true),
        [101] = ([3, 4, 23, 3], true),
        [152] = ([3, 8, 36, 3], true),
    };

    /// <summary>Whether a depth is one of the networks for CIFAR.</summary>
    public static bool IsCifar(int depth) => depth >= 8 && (depth - 2) % 6 == 0 && !Plans.ContainsKey(depth);

    /// <summary>A stem of 3x3 and three stages of basic blocks.</summary>
    public static Architecture Cifar(int depth, IReadOnlyList<int> input, double width, int classes, Norm norm, Shortcut shortcut)
    {
        Guard.Require(IsCifar(depth), $"resnet: expected a depth of 6n + 2 for CIFAR, such as 20, 32, 44, 56 or 110, found {depth}");
        Catalogue.RequireSizes($"resnet{depth}", [.. input, classes, Catalogue.Scaled(16, width)]);
        var chain = new Chain();
        Convolve(chain, "stem", Catalogue.Scaled(16, width), 3, 1, norm, activate: true);
        var inputs = Catalogue.Scaled(16, width);
        for (var stage = 0; stage < 3; stage++)
            for (var block = 0; block < (depth - 2) / 6; block++)
            {
                var place = new Place($"stage{stage + 1}.{block + 1}", inputs, stage > 0 && block == 0 ? 2 : 1);
                inputs = Catalogue.Scaled(16 << stage, width);
                BasicBlock(chain, place, inputs, reshapes: stage > 0 && block == 0, norm, shortcut);
            }

        var suffix = shortcut switch { Shortcut.Padding => "-a", Shortcut.Convolution => "-3x3", _ => "" };
        return Head(chain, Catalogue.Title($"resnet{depth}{suffix}", width, norm), input, classes);
    }

    /// <summary>A stem of 7x7 with a pool and four stages of basic or bottleneck blocks.</summary>
    public static Architecture ImageNet(int depth, IReadOnlyList<int> input, double width, int classes, Norm norm)
    {
        Guard.Require(
            Plans.TryGetValue(depth, out var plan), $"resnet: expected a depth among {string.Join(", ", Plans.Keys)} for ImageNet, found {depth}");
        Catalogue.RequireSizes($"resnet{depth}", [.. input, classes, Catalogue.Scaled(64, width)]);
        var chain = new Chain();
        Convolve(chain, "stem", Catalogue.Scaled(64, width), 7, 2, norm, activate: true);
        chain.Add("stem.pool", new Pooling(PoolingFunction.Max, kernel: 3, stride: 2, padding: 1));
        var inputs = Catalogue.Scaled(64, width);
        for (var stage = 0; stage < 4; stage++)
            for (var block = 0; block < plan.Blocks[stage]; block++)
            {
                var place = new Place($"stage{stage + 1}.{block + 1}", inputs, stage > 0 && block == 0 ? 2 : 1);
                var channels = Catalogue.Scaled(64 << stage, width);
                inputs = plan.Bottleneck ? 4 * channels : channels;
                if (plan.Bottleneck) Bottleneck(chain, place, channels, reshapes: block == 0, norm);
                else BasicBlock(chain, place, channels, reshapes: stage > 0 && block == 0, norm, Shortcut.Projection);
            }

        return Head(chain, Catalogue.Title($"resnet{depth}", width, norm), input, classes);
    }

    /// <summary>A convolution with its norm, and an activation where asked for.</summary>
    public static string Convolve(
        Chain chain, string name, int channels, int kernel, int stride, Norm norm, bool activate, bool? bias = null, string? from = null)
    {
        chain.Add(name, new Convolution(channels, kernel, stride, kernel / 2, bias ?? norm == Norm.None), from is null ? [] : [from]);
        if (norm == Norm.Batch) chain.Add($"{name}.norm", new BatchNorm());
        if (norm == Norm.Layer) chain.Add($"{name}.norm", new GroupNorm());
        if (activate) chain.Add($"{name}.relu", new Activation(ActivationFunction.Relu));
        return chain.Last;
    }

    // Two 3x3 convolutions beside a shortcut.
    private static void BasicBlock(Chain chain, Place place, int channels, bool reshapes, Norm norm, Shortcut shortcut)
    {
        var from = chain.Last;
        Convolve(chain, $"{place.Name}.conv1", channels, 3, place.Stride, norm, activate: true);
        var branch = Convolve(chain, $"{place.Name}.conv2", channels, 3, 1, norm, activate: false);
        Join(chain, place, channels, reshapes, norm, from, branch, shortcut);
    }

    // 1x1, 3x3 and 1x1 convolutions, the last four times as wide, beside a shortcut.
    private static void Bottleneck(Chain chain, Place place, int channels, bool reshapes, Norm norm)
    {
        var from = chain.Last;
        Convolve(chain, $"{place.Name}.conv1", channels, 1, 1, norm, activate: true);
        Convolve(chain, $"{place.Name}.conv2", channels, 3, place.Stride, norm, activate: true);
        var branch = Convolve(chain, $"{place.Name}.conv3", 4 * channels, 1, 1, norm, activate: false);
        Join(chain, place, 4 * channels, reshapes, norm, from, branch, Shortcut.Projection);
    }

    private static void Join(
        Chain chain, Place place, int channels, bool reshapes, Norm norm, string from, string branch, Shortcut shortcut)
    {
        var beside = reshapes ? Reshape(chain, place, channels, norm, from, shortcut) : from;
        chain.Add($"{place.Name}.sum", new Sum(), branch, beside);
        chain.Add($"{place.Name}.relu", new Activation(ActivationFunction.Relu));
    }

    private static string Reshape(Chain chain, Place place, int channels, Norm norm, string from, Shortcut shortcut)
    {
        if (shortcut != Shortcut.Padding)
            return Convolve(
                chain, $"{place.Name}.shortcut", channels, shortcut == Shortcut.Convolution ? 3 : 1, place.Stride, norm, activate: false, from: from);
        chain.Add($"{place.Name}.shortcut.pool", new Pooling(PoolingFunction.First, 1, place.Stride), from);
        var added = channels - place.Inputs;
        return chain.Add($"{place.Name}.shortcut", new ChannelPadding(added / 2, added - added / 2));
    }

    private static Architecture Head(Chain chain, string name, IReadOnlyList<int> input, int classes)
    {
        chain.Add("pool", new Pooling(PoolingFunction.Average, kernel: 0));
        chain.Add("flatten", new Flatten());
        chain.Add("fc", new Dense(classes));
        return chain.Build(name, input);
    }

    // A block's name, the channels that it reads, and its stride.
    private readonly record struct Place(string Name, int Inputs, int Stride);
}
