namespace LmcDsl.Core.Architectures;

/// <summary>Blocks that residual networks are made of (He et al., 1512.03385, figures 2 and 5).</summary>
internal static class ResNet
{
    /// <summary>A convolution with its norm, and an activation where asked for.</summary>
    public static string Convolve(
        Chain chain, string name, int channels, int kernel, int stride, Norm norm, bool activate, params string[] from)
    {
        chain.Add(name, new Convolution(channels, kernel, stride, kernel / 2, bias: norm == Norm.None), from);
        if (norm == Norm.Batch) chain.Add($"{name}.norm", new BatchNorm());
        if (norm == Norm.Layer) chain.Add($"{name}.norm", new GroupNorm());
        if (activate) chain.Add($"{name}.relu", new Activation(ActivationFunction.Relu));
        return chain.Last;
    }

    /// <summary>Two 3x3 convolutions beside a shortcut.</summary>
    public static void BasicBlock(Chain chain, string name, int channels, int stride, bool reshapes, Norm norm)
    {
        var from = chain.Last;
        Convolve(chain, $"{name}.conv1", channels, 3, stride, norm, activate: true);
        var branch = Convolve(chain, $"{name}.conv2", channels, 3, 1, norm, activate: false);
        Join(chain, name, channels, stride, reshapes, norm, from, branch);
    }

    /// <summary>1x1, 3x3 and 1x1 convolutions, the last four times as wide, beside a shortcut.</summary>
    public static void Bottleneck(Chain chain, string name, int channels, int stride, bool reshapes, Norm norm)
    {
        var from = chain.Last;
        Convolve(chain, $"{name}.conv1", channels, 1, 1, norm, activate: true);
        Convolve(chain, $"{name}.conv2", channels, 3, stride, norm, activate: true);
        var branch = Convolve(chain, $"{name}.conv3", 4 * channels, 1, 1, norm, activate: false);
        Join(chain, name, 4 * channels, stride, reshapes, norm, from, branch);
    }

    private static void Join(
        Chain chain, string name, int channels, int stride, bool reshapes, Norm norm, string from, string branch)
    {
        var shortcut = reshapes
            ? Convolve(chain, $"{name}.shortcut", channels, 1, stride, norm, activate: false, from)
            : from;
        chain.Add($"{name}.sum", new Sum(), branch, shortcut);
        chain.Add($"{name}.relu", new Activation(ActivationFunction.Relu));
    }
}
