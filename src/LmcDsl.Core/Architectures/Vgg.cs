using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Architectures;

/// <summary>The networks of Simonyan and Zisserman (1409.1556, table 1): convolutions of 3x3, pools between.</summary>
internal static class Vgg
{
    private static readonly Dictionary<int, int[]> Plans = new() // channels of convolutions, 0 for a pool
    {
        [11] = [64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0],
        [13] = [64, 64, 0, 128, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0],
        [16] = [64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0],
        [19] = [64, 64, 0, 128, 128, 0, 256, 256, 256, 256, 0, 512, 512, 512, 512, 0, 512, 512, 512, 512, 0],
    };

    /// <summary>One dense layer after the convolutions.</summary>
    public static Architecture Small(int depth, IReadOnlyList<int> input, double width, int classes, Norm norm, bool bias)
    {
        var chain = Features($"vgg{depth}", depth, input, width, classes, norm, bias || norm == Norm.None);
        chain.Add("flatten", new Flatten());
        chain.Add("fc", new Dense(classes));
        return chain.Build(Catalogue.Title($"vgg{depth}{(bias ? "-bias" : "")}", width, norm), input);
    }

    /// <summary>A fixed number of positions, whatever the image, and three dense layers.</summary>
    public static Architecture ImageNet(int depth, IReadOnlyList<int> input, double width, int classes, Norm norm)
    {
        var chain = Features($"vgg{depth}-imagenet", depth, input, width, classes, norm, bias: true);
        chain.Add("avgpool", new AdaptivePooling(PoolingFunction.Average, 7, 7));
        chain.Add("flatten", new Flatten());
        for (var k = 1; k <= 2; k++)
        {
            chain.Add($"fc{k}", new Dense(Catalogue.Scaled(4096, width)));
            chain.Add($"fc{k}.relu", new Activation(ActivationFunction.Relu));
        }

        chain.Add("fc3", new Dense(classes));
        return chain.Build(Catalogue.Title($"vgg{depth}-imagenet", width, norm), input);
    }

    private static Chain Features(
        string name, int depth, IReadOnlyList<int> input, double width, int classes, Norm norm, bool bias)
    {
        Guard.Require(
            Plans.TryGetValue(depth, out var plan), $"vgg: expected a depth among {string.Join(", ", Plans.Keys)}, found {depth}");
        Catalogue.RequireSizes(name, [.. input, classes, Catalogue.Scaled(64, width)]);
        var chain = new Chain();
        int convolutions = 0, pools = 0;
        foreach (var channels in plan!)
        {
            if (channels == 0) chain.Add($"pool{++pools}", new Pooling(PoolingFunction.Max));
            else ResNet.Convolve(chain, $"conv{++convolutions}", Catalogue.Scaled(channels, width), 3, 1, norm, activate: true, bias);
        }

        return chain;
    }
}
