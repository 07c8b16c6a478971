using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// Transformers (Vaswani et al., 1706.03762) as graphs of the library's layers: a residual stream to which attention and feed-forward parts
/// add. Names: <c>tokens</c>, <c>positions</c>, <c>block1.norm1, .query, .key, .value, .attention, .output, .norm2, .up, .down</c>, ...,
/// <c>norm</c>, <c>head</c>.
/// </summary>
internal static class Transformer
{
    /// <summary>A language model: the next token at each position, from those before.</summary>
    public static Architecture Causal(string name, int vocabulary, TransformerOptions options)
    {
        Require(name, vocabulary, options);
        var chain = new Chain();
        chain.Add("tokens", new Embedding(vocabulary, options.Width));
        Blocks(chain, options, causal: true);
        if (options.Tied) chain.Add("head", new TiedOutput("tokens", vocabulary));
        else chain.Add("head", new Dense(vocabulary, bias: false));
        return chain.Build(name, [options.Context]);
    }

    /// <summary>A classifier of texts that sees all positions: the mean over positions is classified.</summary>
    public static Architecture Encoder(string name, int vocabulary, int classes, TransformerOptions options)
    {
        Require(name, vocabulary, options);
        Catalogue.RequireSizes(name, [classes]);
        var chain = new Chain();
        chain.Add("tokens", new Embedding(vocabulary, options.Width));
        Blocks(chain, options, causal: false);
        chain.Add("pool", new SequencePooling(SequencePoolingFunction.Mean));
        chain.Add("head", new Dense(classes));
        return chain.Build(name, [options.Context]);
    }

    /// <summary>A classifier of images, as a sequence of patches with a class token (Dosovitskiy et al., 2010.11929).</summary>
    public static Architecture Vision(string name, IReadOnlyList<int> image, int patch, int classes, TransformerOptions options)
    {
        Catalogue.RequireSizes(name, [.. image, patch, classes]);
        Guard.Require(
            image.Count == 3 && image[1] % patch == 0 && image[2] % patch == 0,
            $"{name}: expected images [channels, height, width] that patches of {patch} divide, found {string.Join("x", image)}");
        options = options with { Context = image[1] / patch * (image[2] / patch) + 1 };
        Require(name, 1, options);
        var chain = new Chain();
        chain.Add("patches", new Convolution(options.Width, patch, patch, 0));
        chain.Add("sequence", new Sequence());
        chain.Add("class", new ClassToken());
        Blocks(chain, options, causal: false);
        chain.Add("pool", new SequencePooling(SequencePoolingFunction.First));
        chain.Add("head", new Dense(classes));
        return chain.Build(name, image);
    }

    private static void Blocks(Chain chain, TransformerOptions options, bool causal)
    {
        if (options.Positions == PositionEncoding.Learned) chain.Add("positions", new LearnedPositions());
        if (options.Positions == PositionEncoding.Sinusoidal) chain.Add("positions", new SinusoidalPositions());
        if (options.Norm == TransformerNorm.LayerAfter) chain.Add("norm", new LayerNorm());
        for (var k = 1; k <= options.Layers; k++)
        {
            Part(chain, options, $"block{k}", 1, source => Attention(chain, options, $"block{k}", source, causal));
            Part(chain, options, $"block{k}", 2, source => FeedForward(chain, options, $"block{k}", source));
        }

        if (options.Norm != TransformerNorm.LayerAfter) chain.Add("norm", Norm(options));
    }

    private static void Part(Chain chain, TransformerOptions options, string block, int number, Action<string> part)
    {
        var stream = chain.Last;
        var after = options.Norm == TransformerNorm.LayerAfter;
        part(after ? stream : chain.Add($"{block}.norm{number}", Norm(options)));
        chain.Add($"{block}.sum{number}", new Sum(), stream, chain.Last);
        if (after) chain.Add($"{block}.norm{number}", Norm(options));
    }

    private static void Attention(Chain chain, TransformerOptions options, string block, string source, bool causal)
    {
        var size = options.Width / options.Heads;
        var keys = (options.KeyHeads == 0 ? options.Heads : options.KeyHeads) * size;
        var rotary = options.Positions == PositionEncoding.Rotary;
        chain.Add($"{block}.query", new Dense(options.Width, options.Bias), source);
        chain.Add($"{block}.key", new Dense(keys, options.Bias), source);
        chain.Add($"{block}.value", new Dense(keys, options.Bias), source);
        chain.Add(
            $"{block}.attention", new DotProductAttention(options.Heads, options.KeyHeads, causal, rotary),
            $"{block}.query", $"{block}.key", $"{block}.value");
        chain.Add($"{block}.output", new Dense(options.Width, options.Bias));
    }

    private static void FeedForward(Chain chain, TransformerOptions options, string block, string source)
    {
        var hidden = options.Hidden == 0 ? 4 * options.Width : options.Hidden;
        chain.Add($"{block}.up", new Dense(hidden, options.Bias), source);
        if (options.Gated)
        {
            chain.Add($"{block}.gate", new Dense(hidden, options.Bias), source);
            chain.Add($"{block}.silu", new Activation(ActivationFunction.Silu));
            chain.Add($"{block}.product", new Multiplication(), $"{block}.silu", $"{block}.up");
        }
        else
        {
            chain.Add($"{block}.gelu", new Activation(ActivationFunction.Gelu));
        }

        chain.Add($"{block}.down", new Dense(options.Width, options.Bias));
    }

    private static Layer Norm(TransformerOptions options) => options.Norm == TransformerNorm.RmsBefore ? new RmsNorm() : new LayerNorm();

    private static void Require(string name, int vocabulary, TransformerOptions options)
    {
        Catalogue.RequireSizes(name, [vocabulary, options.Layers, options.Width, options.Heads, options.Context]);
        Guard.Require(
            options is { KeyHeads: >= 0, Hidden: >= 0 }, $"{name}: expected key heads and hidden units of 0 or more, found {options.KeyHeads} and {options.Hidden}");
        Guard.Require(
            options.Width % options.Heads == 0, $"{name}: expected a number of heads that divides the width {options.Width}, found {options.Heads}");
        Guard.Require(
            options.Heads % Math.Max(1, options.KeyHeads) == 0,
            $"{name}: expected a number of key heads that divides {options.Heads} heads, found {options.KeyHeads}");
        Sizes.Product($"{name}: units", 8, options.Width);
    }
}
