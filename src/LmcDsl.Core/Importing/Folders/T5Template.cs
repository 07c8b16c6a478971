using System.Text.RegularExpressions;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Importing;

/// <summary>
/// T5: an encoder and a decoder that share the tokens' table, attention without scaling whose scores are shifted by how far tokens are apart (one
/// table for all blocks of a stack, so that heads keep one order in all of them), root-mean-square norms, inner layers gated or not. An example
/// is the encoder's tokens and then as many of the decoder's; an encoder alone reads its own.
/// </summary>
internal sealed partial class T5Template : FolderTemplate
{
    private const int MostPositions = 1 << 14; // scores of all pairs of tokens are numbers of one example

    /// <inheritdoc/>
    public override IReadOnlyList<string> Types => ["t5"];

    /// <inheritdoc/>
    public override IReadOnlyList<string> Prefixes => ["transformer."];

    /// <inheritdoc/>
    public override IReadOnlyList<string> Body => ["shared.", "encoder.", "decoder."];

    // A table that some files have and no version of the model reads.
    /// <inheritdoc/>
    public override bool IsBuffer(string name) => Unread().IsMatch(name);

    /// <inheritdoc/>
    public override void Write(FolderBuilder to)
    {
        var config = to.Config;
        var sizes = new StackSizes(to);
        int vocabulary = config.Size("vocab_size"), layers = to.Layers("num_layers");
        config.Only("is_encoder_decoder", "true", "true", "false");
        var isTied = config.Flag("tie_word_embeddings", true);
        var hasDecoder = to.Has("decoder.final_layer_norm.weight");
        var decoderLayers = hasDecoder && to.Config.Names("num_decoder_layers") ? to.Layers("num_decoder_layers") : layers;
        var positions = to.Tokens("the template", MostPositions, hasDecoder ? 2 : 1);
        var table = to.Parameter("shared.weight", ParameterRole.Weight, vocabulary, sizes.Width);
        foreach (var stack in new[] { "encoder", "decoder" }) to.Copies[$"{stack}.embed_tokens.weight"] = "shared.weight";
        var encoded = Stack(to, "encoder", table, 0, positions, layers, sizes, null);
        if (!hasDecoder)
        {
            to.Output(encoded);
            return;
        }

        var features = Stack(to, "decoder", table, positions, positions, decoderLayers, sizes, encoded);
        if (isTied && (to.Has("lm_head.weight") || config.Class != "T5Model"))
        {
            to.Copies["lm_head.weight"] = "shared.weight";
            var scale = to.Constant("lm_head.scale", tensor((float)Math.Pow(sizes.Width, -0.5)).reshape(1));
            var scaled = to.Add("lm_head.scaled", new Arithmetic(ArithmeticFunction.Multiply), features, scale);
            var turned = to.Add("lm_head.turned", new Transposition([1, 0]), table);
            to.Output(to.Add("lm_head", new MatrixProduct(), scaled, turned));
        }
        else if (!isTied && (to.Has("lm_head.weight") || config.Class == "T5ForConditionalGeneration"))
        {
            to.Output(to.Add("lm_head", new Dense(vocabulary, bias: false), features));
        }

        to.Features(features);
        // A model without a head gives what the encoder says as well.
        if (to.IsOutput(features)) to.Output(encoded);
    }

    private static string Stack(
        FolderBuilder to, string stack, string table, int start, int positions, int layers, StackSizes sizes, string? encoded)
    {
        var tokens = to.Add($"{stack}.tokens", new Slice(start, positions), Architecture.InputName);
        to.Add($"{stack}.embed_tokens", new Lookup(), table, tokens);
        var isCausal = encoded is not null;
        var shift = Shift(to, stack, positions, sizes, isCausal, to.Last, out var stream);
        for (var k = 0; k < layers; k++)
        {
            var block = $"{stack}.block.{k}.layer";
            stream = Attention(to, $"{block}.0", "SelfAttention", stream, null, shift, positions, sizes);
            if (encoded is not null) stream = Attention(to, $"{block}.1", "EncDecAttention", stream, encoded, null, positions, sizes);
            stream = FeedForward(to, $"{block}.{(isCausal ? 2 : 1)}", stream, sizes);
        }

        return to.Add($"{stack}.final_layer_norm", new RmsNorm(sizes.Epsilon), stream);
    }

    // What is added to the scores of all blocks: a number for each head and distance, and nothing of what comes later in a decoder.
    private static string Shift(FolderBuilder to, string stack, int positions, StackSizes sizes, bool isCausal, string embedded, out string stream)
    {
        stream = embedded;
        var name = $"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias";
        var table = to.Parameter($"{name}.weight", ParameterRole.Weight, sizes.Buckets, sizes.Heads);
        using var buckets = Buckets(positions, sizes.Buckets, sizes.Farthest, !isCausal);
        var places = to.Constant($"{stack}.distances", buckets);
        to.Add(name, new Lookup(), table, places);
        var shift = to.Add($"{name}.first", new Transposition([2, 0, 1]));
        if (!isCausal) return shift;
        using var later = full([positions, positions], -1e9f).triu(1);
        var mask = to.Constant($"{stack}.later", later);
        return to.Add($"{name}.causal", new Arithmetic(ArithmeticFunction.Add), shift, mask);
    }

    private static string Attention(
        FolderBuilder to, string layer, string kind, string stream, string? encoded, string? shift, int positions, StackSizes sizes)
    {
        var normed = to.Add($"{layer}.layer_norm", new RmsNorm(sizes.Epsilon), stream);
        var (name, from) = ($"{layer}.{kind}", encoded ?? normed);
        var all = Sizes.Product($"{to.Config.Path}: d_kv: units of all heads", sizes.Heads, sizes.Head);
        string Part(string part, string read, params int[] order)
        {
            to.Add($"{name}.{part}", new Dense(all, bias: false), read);
            to.Add($"{name}.{part}.heads", new Reshaping([positions, sizes.Heads, sizes.Head]));
            return to.Add($"{name}.{part}.first", new Transposition([.. order]));
        }

        var (queries, keys, values) = (Part("q", normed, 1, 0, 2), Part("k", from, 1, 2, 0), Part("v", from, 1, 0, 2));
        var scores = to.Add($"{name}.scores", new MatrixProduct(), queries, keys);
        if (shift is not null) scores = to.Add($"{name}.shifted", new Arithmetic(ArithmeticFunction.Add), scores, shift);
        to.Add($"{name}.shares", new Softmax(), scores);
        to.Add($"{name}.seen", new MatrixProduct(), to.Last, values);
        to.Add($"{name}.last", new Transposition([1, 0, 2]));
        to.Add($"{name}.joined", new Reshaping([positions, all]));
        to.Add($"{name}.o", new Dense(sizes.Width, bias: false));
        return to.Sum($"{layer}.sum", stream, to.Last);
    }

    private static string FeedForward(FolderBuilder to, string layer, string stream, StackSizes sizes)
    {
        var normed = to.Add($"{layer}.layer_norm", new RmsNorm(sizes.Epsilon), stream);
        var name = $"{layer}.DenseReluDense";
        if (sizes.IsGated)
        {
            to.Add($"{name}.wi_0", new Dense(sizes.Inner, bias: false), normed);
            var gate = to.Add($"{name}.act", FolderActivation.Named(to.Config, "feed_forward_proj", sizes.Function));
            var carried = to.Add($"{name}.wi_1", new Dense(sizes.Inner, bias: false), normed);
            to.Add($"{name}.product", new Multiplication(), gate, carried);
        }
        else
        {
            to.Add($"{name}.wi", new Dense(sizes.Inner, bias: false), normed);
            to.Add($"{name}.act", FolderActivation.Named(to.Config, "feed_forward_proj", sizes.Function));
        }

        to.Add($"{name}.wo", new Dense(sizes.Width, bias: false));
        return to.Sum($"{layer}.sum", stream, to.Last);
    }

    // Each small distance by itself, larger ones by their logarithm, all beyond the farthest as one; ahead and back apart, or back alone.
    private static Tensor Buckets(int positions, int buckets, int farthest, bool both)
    {
        using var scope = NewDisposeScope();
        var places = arange(positions, ScalarType.Int64);
        var ahead = places.unsqueeze(0) - places.unsqueeze(1);
        var start = zeros_like(ahead);
        if (both)
        {
            buckets /= 2;
            start = (ahead > 0).to(ScalarType.Int64) * buckets;
            ahead = ahead.abs();
        }
        else
        {
            ahead = -ahead.clamp_max(0);
        }

        var single = Math.Max(1, buckets / 2);
        var share = (ahead.to(ScalarType.Float32).clamp_min(1) / single).log() / Math.Log((double)farthest / single);
        var far = (single + (share * (buckets - single)).to(ScalarType.Int64)).clamp_max(buckets - 1);
        return (start + where(ahead < single, ahead, far)).DetachFromDisposeScope();
    }

    [GeneratedRegex(@"^decoder\.block\.0\.layer\.1\.EncDecAttention\.relative_attention_bias\.weight$")]
    private static partial Regex Unread();

    // Sizes of both stacks.
    private sealed class StackSizes
    {
        public StackSizes(FolderBuilder to)
        {
            var config = to.Config;
            (Width, Head, Inner, Heads) = (config.Size("d_model"), config.Size("d_kv"), config.Size("d_ff"), config.Size("num_heads"));
            (Buckets, Farthest) = (config.Size("relative_attention_num_buckets", 32), config.Size("relative_attention_max_distance", 128));
            Epsilon = config.Number("layer_norm_epsilon", 1e-6);
            Guard.Require(
                Buckets is >= 4 and <= 1 << 16 && Farthest > Buckets / 2,
                $"{config.Path}: relative_attention_num_buckets: expected 4 to 65536 and less than twice relative_attention_max_distance, found {Buckets} and {Farthest}");
            var inner = config.Text("feed_forward_proj", "relu");
            IsGated = inner.StartsWith("gated-", StringComparison.Ordinal);
            // The gated one is GELU with a tangent, as it was trained.
            Function = inner == "gated-gelu" ? "gelu_new" : IsGated ? inner["gated-".Length..] : inner;
        }

        public int Width { get; }

        public int Head { get; }

        public int Inner { get; }

        public int Heads { get; }

        public int Buckets { get; }

        public int Farthest { get; }

        public double Epsilon { get; }

        public bool IsGated { get; }

        public string Function { get; }
    }
}
