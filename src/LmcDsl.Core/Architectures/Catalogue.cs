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

/// <summary>What stands beside a residual block where it changes the shape of what it reads (He et al., 1512.03385, section 3.3).</summary>
public enum Shortcut
{
    /// <summary>A convolution of 1x1 with its norm: option B, and what most versions have.</summary>
    Projection,

    /// <summary>A convolution of 3x3 with its norm, as Git Re-Basin's version has it (2209.04836).</summary>
    Convolution,

    /// <summary>No parameters: every second position, and channels of zeros on both sides: option A.</summary>
    Padding,
}

/// <summary>The networks that papers on linear mode connectivity use, as functions of their sizes.</summary>
public static class Catalogue
{
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
        Architectures.Vgg.Small(11, input, width, classes, norm, bias: false);

    /// <summary>VGG16 for small images (column D of the paper): 13 convolutions, 13 permutation groups.</summary>
    /// <inheritdoc cref="Vgg11"/>
    public static Architecture Vgg16(IReadOnlyList<int> input, double width = 1, int classes = 10, Norm norm = Norm.Batch) =>
        Architectures.Vgg.Small(16, input, width, classes, norm, bias: false);

    /// <summary>VGG of a depth of 11, 13, 16 or 19 (columns A, B, D and E of the paper) for small images, as <see cref="Vgg11"/>.</summary>
    /// <param name="depth">11, 13, 16 or 19.</param>
    /// <param name="input">Shape of one example.</param>
    /// <param name="width">Multiplies every number of channels.</param>
    /// <param name="classes">Number of outputs.</param>
    /// <param name="norm">What follows each convolution.</param>
    /// <param name="bias">Whether convolutions have biases beside their norms, as many CIFAR versions have.</param>
    /// <returns>The architecture.</returns>
    /// <exception cref="LmcException">A size is below 1, the depth is not known, or the width leaves a layer without channels.</exception>
    public static Architecture Vgg(
        int depth, IReadOnlyList<int> input, double width = 1, int classes = 10, Norm norm = Norm.Batch, bool bias = false) =>
        Architectures.Vgg.Small(depth, input, width, classes, norm, bias);

    /// <summary>
    /// VGG for ImageNet, as the paper and torchvision have it: convolutions with biases, norm or not, an average over 7x7 parts,
    /// and dense layers of 4096, 4096 and the classes. One permutation group for each layer but the last.
    /// </summary>
    /// <param name="depth">11, 13, 16 or 19.</param>
    /// <param name="input">Shape of one example, 224x224 for ImageNet.</param>
    /// <param name="width">Multiplies every number of channels, and of units of dense layers.</param>
    /// <param name="classes">Number of outputs.</param>
    /// <param name="norm">What follows each convolution.</param>
    /// <returns>The architecture.</returns>
    /// <exception cref="LmcException">A size is below 1, the depth is not known, or the width leaves a layer without channels.</exception>
    public static Architecture VggImageNet(
        int depth, IReadOnlyList<int> input, double width = 1, int classes = 1000, Norm norm = Norm.Batch) =>
        Architectures.Vgg.ImageNet(depth, input, width, classes, norm);

    /// <summary>
    /// ResNet20 for CIFAR (He et al., 1512.03385, section 4.2): a stem, three stages of three blocks with 16, 32 and 64
    /// channels, 1x1 convolutions as shortcuts where the shape changes. 12 permutation groups: 9 within blocks, and one
    /// for each stage, which all its blocks share.
    /// </summary>
    /// <inheritdoc cref="Vgg11"/>
    public static Architecture ResNet20(IReadOnlyList<int> input, double width = 1, int classes = 10, Norm norm = Norm.Batch) =>
        ResNet.Cifar(20, input, width, classes, norm, Shortcut.Projection);

    /// <summary>
    /// ResNet50 (He et al., 1512.03385, table 1): stages of 3, 4, 6 and 3 bottleneck blocks, the stride on the convolution of
    /// 3x3, as torchvision has it. 37 permutation groups: 32 within blocks, one for each stage and one for the stem.
    /// </summary>
    /// <inheritdoc cref="Vgg11"/>
    public static Architecture ResNet50(IReadOnlyList<int> input, double width = 1, int classes = 1000, Norm norm = Norm.Batch) =>
        ResNet.ImageNet(50, input, width, classes, norm);

    /// <summary>
    /// ResNet for CIFAR (He et al., 1512.03385, section 4.2) of a depth of 6n + 2: 20, 32, 44, 56 or 110 in the paper, n blocks
    /// in each of three stages.
    /// </summary>
    /// <param name="depth">6n + 2.</param>
    /// <param name="input">Shape of one example.</param>
    /// <param name="width">Multiplies every number of channels.</param>
    /// <param name="classes">Number of outputs.</param>
    /// <param name="norm">What follows each convolution.</param>
    /// <param name="shortcut">What a block's shortcut is where the shape changes.</param>
    /// <returns>The architecture.</returns>
    /// <exception cref="LmcException">A size is below 1, the depth is not known, or the width leaves a layer without channels.</exception>
    public static Architecture ResNetCifar(
        int depth, IReadOnlyList<int> input, double width = 1, int classes = 10, Norm norm = Norm.Batch,
        Shortcut shortcut = Shortcut.Projection) =>
        ResNet.Cifar(depth, input, width, classes, norm, shortcut);

    /// <summary>
    /// ResNet for ImageNet (He et al., 1512.03385, table 1), as torchvision has it: 18 and 34 of basic blocks, 50, 101 and 152 of
    /// bottleneck blocks. One permutation group for each inner convolution of a block, for each stage, and, in bottleneck networks, for the stem.
    /// </summary>
    /// <param name="depth">18, 34, 50, 101 or 152.</param>
    /// <param name="input">Shape of one example.</param>
    /// <param name="width">Multiplies every number of channels.</param>
    /// <param name="classes">Number of outputs.</param>
    /// <param name="norm">What follows each convolution.</param>
    /// <returns>The architecture.</returns>
    /// <exception cref="LmcException">A size is below 1, the depth is not known, or the width leaves a layer without channels.</exception>
    public static Architecture ResNetImageNet(
        int depth, IReadOnlyList<int> input, double width = 1, int classes = 1000, Norm norm = Norm.Batch) =>
        ResNet.ImageNet(depth, input, width, classes, norm);

    /// <summary>
    /// A language model in the manner of GPT-2: causal attention, pre-norm, learned positions, GELU, biases, an output of its own, unless the
    /// options say otherwise.
    /// </summary>
    /// <param name="vocabulary">Number of tokens.</param>
    /// <param name="options">Sizes and parts; the defaults where none are given.</param>
    /// <returns>The architecture; its input is <c>[context]</c>, its output <c>[context, vocabulary]</c>.</returns>
    /// <exception cref="LmcException">A size is below 1, or heads do not divide the width.</exception>
    public static Architecture Gpt(int vocabulary, TransformerOptions? options = null) =>
        Transformer.Causal(TransformerTitle("gpt", options ??= new()), vocabulary, options);

    /// <summary>
    /// A language model in the manner of Llama: rotary positions, root-mean-square norms, gated feed-forward parts, no biases; sizes, key heads
    /// and tying as the options say.
    /// </summary>
    /// <param name="vocabulary">Number of tokens.</param>
    /// <param name="options">Sizes.</param>
    /// <returns>The architecture.</returns>
    /// <exception cref="LmcException">A size is below 1, or heads do not divide the width.</exception>
    public static Architecture Llama(int vocabulary, TransformerOptions? options = null) =>
        Transformer.Causal(
            TransformerTitle("llama", options ??= new()), vocabulary,
            options with { Positions = PositionEncoding.Rotary, Norm = TransformerNorm.RmsBefore, Gated = true, Bias = false });

    /// <summary>A classifier of texts in the manner of BERT, attention in both directions; norms before or after as the options say.</summary>
    /// <param name="vocabulary">Number of tokens.</param>
    /// <param name="classes">Number of classes.</param>
    /// <param name="options">Sizes and parts.</param>
    /// <returns>The architecture; its input is <c>[context]</c>.</returns>
    /// <exception cref="LmcException">A size is below 1, or heads do not divide the width.</exception>
    public static Architecture Bert(int vocabulary, int classes, TransformerOptions? options = null) =>
        Transformer.Encoder(TransformerTitle("bert", options ??= new()), vocabulary, classes, options);

    /// <summary>A vision transformer (2010.11929): patches, a class token, attention in both directions.</summary>
    /// <param name="image">Shape of one image.</param>
    /// <param name="patch">Side of a patch; divides height and width.</param>
    /// <param name="classes">Number of classes.</param>
    /// <param name="options">Sizes and parts; the context follows from the image.</param>
    /// <returns>The architecture.</returns>
    /// <exception cref="LmcException">A size is below 1, heads do not divide the width, or patches the image.</exception>
    public static Architecture Vit(IReadOnlyList<int> image, int patch, int classes, TransformerOptions? options = null) =>
        Transformer.Vision(TransformerTitle("vit", options ??= new()), image, patch, classes, options);

    private static string TransformerTitle(string name, TransformerOptions options) => $"{name} {options.Layers}x{options.Width}";

    /// <summary>The words for networks that are known by one: <c>vgg16</c>, <c>resnet20</c>, <c>resnet20-a</c>, <c>vgg16-imagenet</c>.</summary>
    public static IReadOnlyList<string> Names { get; } =
    [
        .. from depth in (int[])[11, 13, 16, 19] from kind in (string[])["", "-bias", "-imagenet"] select $"vgg{depth}{kind}",
        .. from depth in (int[])[20, 32, 44, 56, 110] from shortcut in (string[])["", "-a", "-3x3"] select $"resnet{depth}{shortcut}",
        .. from depth in (int[])[18, 34, 50, 101, 152] select $"resnet{depth}",
    ];

    /// <summary>A network by its word.</summary>
    /// <param name="name">One of <see cref="Names"/>.</param>
    /// <param name="input">Shape of one example.</param>
    /// <param name="width">Multiplies every number of channels.</param>
    /// <param name="classes">Number of outputs.</param>
    /// <param name="norm">What follows each convolution.</param>
    /// <returns>The architecture.</returns>
    /// <exception cref="LmcException">The word is not known, a size is below 1, or the width leaves a layer without channels.</exception>
    public static Architecture Named(string name, IReadOnlyList<int> input, double width, int classes, Norm norm)
    {
        Guard.Require(Names.Contains(name), $"network: expected one of {string.Join(", ", Names)}, found '{name}'{Nearest.Hint(name, Names)}");
        var words = name.Split('-');
        var isVgg = name.StartsWith("vgg", StringComparison.Ordinal);
        var depth = int.Parse(words[0][(isVgg ? 3 : 6)..], System.Globalization.CultureInfo.InvariantCulture);
        return (isVgg, words.Length > 1 ? words[1] : "") switch
        {
            (true, "") => Vgg(depth, input, width, classes, norm),
            (true, "bias") => Vgg(depth, input, width, classes, norm, bias: true),
            (true, _) => VggImageNet(depth, input, width, classes, norm),
            (false, "a") => ResNetCifar(depth, input, width, classes, norm, Shortcut.Padding),
            (false, "3x3") => ResNetCifar(depth, input, width, classes, norm, Shortcut.Convolution),
            _ => ResNet.IsCifar(depth) ? ResNetCifar(depth, input, width, classes, norm) : ResNetImageNet(depth, input, width, classes, norm),
        };
    }

    internal static int Scaled(int channels, double width) => (int)Math.Clamp(Math.Round(channels * width), 0, int.MaxValue);

    internal static string Title(string name, double width, Norm norm) =>
        FormattableString.Invariant($"{name} x{width}{(norm == Norm.Batch ? "" : $" {norm.ToString().ToLowerInvariant()} norm")}");

    internal static void RequireSizes(string name, int[] sizes) =>
        Guard.Require(
            sizes.All(size => size >= 1), $"{name}: expected sizes of 1 or more, found {string.Join(", ", sizes)}");
}
