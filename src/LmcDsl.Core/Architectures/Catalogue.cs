using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Architectures;

/// <summary>Which norm follows each convolution.</summary>
public enum Norm
{
    /// <summary>Batch normalisation.</summary>
    Batch,

    /// <summary>Normalisation over channels and positions of each example: group norm with one group.</summary>
    Layer,

    /// <summary>None; convolutions have biases instead.</summary>
    None,
}

/// <summary>The networks that papers on linear mode connectivity use, as functions of their sizes.</summary>
public static class Catalogue
{
    private static readonly int[] Vgg11Plan = [64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0];
    private static readonly int[] Vgg16Plan =
        [64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0];

    /// <summary>
    /// A multilayer perceptron with biases and ReLU: flatten, then dense layers <c>fc1, fc2, ...</c> with an activation
    /// after each but the last. With hidden widths 512, 512, 512 on 28x28 images it is the network of Git Re-Basin
    /// (2209.04836, section 5) and of 2402.04051; it has one permutation group for each hidden layer.
    /// </summary>
    /// <param name="input">Shape of one example, for example <c>[1, 28, 28]</c>.</param>
    /// <param name="hidden">Width of each hidden layer.</param>
    /// <param name="classes">Number of outputs.</param>
    /// <returns>The architecture.</returns>
    /// <exception cref="LmcException">A width, a size or the number of classes is below 1.</exception>
    public static Architecture Mlp(IReadOnlyList<int> input, IReadOnlyList<int> hidden, int classes)
    {
        RequireSizes("mlp", [.. input, .. hidden, classes]);
        var chain = new Chain();
        chain.Add("flatten", new Flatten());
        for (var k = 1; k <= hidden.Count; k++)
        {
            chain.Add($"fc{k}", new Dense(hidden[k - 1]));
            chain.Add($"relu{k}", new Activation(ActivationFunction.Relu));
        }

        chain.Add($"fc{hidden.Count + 1}", new Dense(classes));
        return chain.Build($"mlp {string.Join("-", hidden)}", input);
    }

    /// <summary>
    /// VGG11 for small images (Simonyan and Zisserman, 1409.1556, column A, with one dense layer at the end, as CIFAR
    /// versions have it): 8 convolutions of 3x3 and so 8 permutation groups.
    /// </summary>
    /// <param name="input">Shape of one example, 32x32 for CIFAR.</param>
    /// <param name="width">Multiplies every number of channels.</param>
    /// <param name="classes">Number of outputs.</param>
    /// <param name="norm">What follows each convolution.</param>
    /// <returns>The architecture.</returns>
    /// <exception cref="LmcException">A size is below 1, or the width leaves a layer without channels.</exception>
    public static Architecture Vgg11(IReadOnlyList<int> input, double width = 1, int classes = 10, Norm norm = Norm.Batch) =>
        Vgg("vgg11", Vgg11Plan, input, width, classes, norm);

    /// <summary>VGG16 for small images (column D of the paper): 13 convolutions, 13 permutation groups.</summary>
    /// <inheritdoc cref="Vgg11"/>
    public static Architecture Vgg16(IReadOnlyList<int> input, double width = 1, int classes = 10, Norm norm = Norm.Batch) =>
        Vgg("vgg16", Vgg16Plan, input, width, classes, norm);

    /// <summary>
    /// ResNet20 for CIFAR (He et al., 1512.03385, section 4.2): a stem, three stages of three blocks with 16, 32 and 64
    /// channels, 1x1 convolutions as shortcuts where the shape changes. 12 permutation groups: 9 within blocks, and one
    /// for each stage, which all its blocks share.
    /// </summary>
    /// <inheritdoc cref="Vgg11"/>
    public static Architecture ResNet20(IReadOnlyList<int> input, double width = 1, int classes = 10, Norm norm = Norm.Batch)
    {
        RequireSizes("resnet20", [.. input, classes, Scaled(16, width)]);
        var chain = new Chain();
        ResNet.Convolve(chain, "stem", Scaled(16, width), 3, 1, norm, activate: true);
        for (var stage = 0; stage < 3; stage++)
            for (var block = 0; block < 3; block++)
                ResNet.BasicBlock(
                    chain, $"stage{stage + 1}.{block + 1}", Scaled(16 << stage, width), stage > 0 && block == 0 ? 2 : 1,
                    reshapes: stage > 0 && block == 0, norm);
        return Head(chain, Title("resnet20", width, norm), input, classes);
    }

    /// <summary>
    /// ResNet50 (He et al., 1512.03385, table 1): stages of 3, 4, 6 and 3 bottleneck blocks. 37 permutation groups: 32
    /// within blocks, one for each stage and one for the stem.
    /// </summary>
    /// <inheritdoc cref="Vgg11"/>
    public static Architecture ResNet50(IReadOnlyList<int> input, double width = 1, int classes = 1000, Norm norm = Norm.Batch)
    {
        RequireSizes("resnet50", [.. input, classes, Scaled(64, width)]);
        var chain = new Chain();
        ResNet.Convolve(chain, "stem", Scaled(64, width), 7, 2, norm, activate: true);
        chain.Add("stem.pool", new Pooling(PoolingFunction.Max));
        int[] blocks = [3, 4, 6, 3];
        for (var stage = 0; stage < 4; stage++)
            for (var block = 0; block < blocks[stage]; block++)
                ResNet.Bottleneck(
                    chain, $"stage{stage + 1}.{block + 1}", Scaled(64 << stage, width), stage > 0 && block == 0 ? 2 : 1,
                    reshapes: block == 0, norm);
        return Head(chain, Title("resnet50", width, norm), input, classes);
    }

    private static Architecture Vgg(string name, int[] plan, IReadOnlyList<int> input, double width, int classes, Norm norm)
    {
        RequireSizes(name, [.. input, classes, Scaled(64, width)]);
        var chain = new Chain();
        int convolutions = 0, pools = 0;
        foreach (var channels in plan)
        {
            if (channels == 0) chain.Add($"pool{++pools}", new Pooling(PoolingFunction.Max));
            else ResNet.Convolve(chain, $"conv{++convolutions}", Scaled(channels, width), 3, 1, norm, activate: true);
        }

        chain.Add("flatten", new Flatten());
        chain.Add("fc", new Dense(classes));
        return chain.Build(Title(name, width, norm), input);
    }

    private static Architecture Head(Chain chain, string name, IReadOnlyList<int> input, int classes)
    {
        chain.Add("pool", new Pooling(PoolingFunction.Average, kernel: 0));
        chain.Add("flatten", new Flatten());
        chain.Add("fc", new Dense(classes));
        return chain.Build(name, input);
    }

    private static int Scaled(int channels, double width) => (int)Math.Round(channels * width);

    private static string Title(string name, double width, Norm norm) =>
        FormattableString.Invariant($"{name} x{width}{(norm == Norm.Batch ? "" : $" {norm.ToString().ToLowerInvariant()} norm")}");

    private static void RequireSizes(string name, int[] sizes) =>
        Guard.Require(
            sizes.All(size => size >= 1), $"{name}: expected sizes of 1 or more, found {string.Join(", ", sizes)}");
}
