using System.Text.Json;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Importing;

/// <summary>
/// Llama, Mistral and Qwen2: rotary positions that turn units j and j + d/2 of a head, keys that several queries share, root-mean-square norms
/// before each part, a gated inner layer; a head of tokens, tied to the embedding or not, or of classes.
/// </summary>
internal sealed class LlamaTemplate : FolderTemplate
{
    /// <inheritdoc/>
    public override IReadOnlyList<string> Types => ["llama", "mistral", "qwen2"];

    /// <inheritdoc/>
    public override IReadOnlyList<string> Prefixes => ["model."];

    /// <inheritdoc/>
    public override IReadOnlyList<string> Body => ["embed_tokens.", "layers.", "norm."];

    /// <inheritdoc/>
    public override bool IsBuffer(string name) => name.EndsWith("rotary_emb.inv_freq", StringComparison.Ordinal);

    /// <inheritdoc/>
    public override void Write(FolderBuilder to)
    {
        var config = to.Config;
        var type = config.Text("model_type", "");
        int vocabulary = config.Size("vocab_size"), width = config.Size("hidden_size"), layers = to.Layers("num_hidden_layers");
        int heads = config.Size("num_attention_heads"), pairs = config.Size("num_key_value_heads", config.IsNull("num_key_value_heads") ? heads : type switch { "mistral" => 8, "qwen2" => 32, _ => heads });
        int size = config.Size("head_dim", Math.Max(1, width / heads)), inner = config.Size("intermediate_size");
        var most = config.Size("max_position_embeddings", type == "llama" ? 2048 : 32768);
        var epsilon = config.Number("rms_norm_eps", 1e-6);
        var isLlama = type == "llama";
        var attentionBias = isLlama && config.Flag("attention_bias", false);
        var innerBias = isLlama && config.Flag("mlp_bias", false);
        if (!isLlama)
        {
            config.Only("attention_bias", type == "qwen2" ? "true" : "false", type == "qwen2" ? "true" : "false");
            config.Only("mlp_bias", "false", "false");
        }

        Sizes.Product($"{config.Path}: units of queries", heads, size);
        Guard.Require(heads % pairs == 0, $"{config.Path}: num_key_value_heads: expected a number that divides {heads} heads, found {pairs}");
        var positions = to.Tokens("max_position_embeddings", most);
        RequireWholeContext(config, type, positions, layers);
        var rotation = RotaryRates.Of(config, size, most);
        var attention = new DotProductAttention(
            heads, pairs, causal: true, rotary: true, rotation.Base, rotation.Rates, rotation.Gain);
        var embedding = to.Add("embed_tokens", new Embedding(vocabulary, width));
        for (var k = 0; k < layers; k++)
        {
            var (block, stream) = ($"layers.{k}", to.Last);
            to.Add($"{block}.input_layernorm", new RmsNorm(epsilon));
            var bias = attentionBias || type == "qwen2";
            to.Attention(
                $"{block}.self_attn", attention,
                ($"{block}.self_attn.q_proj", new Dense(heads * size, bias)),
                ($"{block}.self_attn.k_proj", new Dense(pairs * size, bias)),
                ($"{block}.self_attn.v_proj", new Dense(pairs * size, bias)));
            to.Add($"{block}.self_attn.o_proj", new Dense(width, attentionBias));
            stream = to.Sum($"{block}.sum_1", stream, to.Last);
            var read = to.Add($"{block}.post_attention_layernorm", new RmsNorm(epsilon));
            var up = to.Add($"{block}.mlp.up_proj", new Dense(inner, innerBias), read);
            to.Add($"{block}.mlp.gate_proj", new Dense(inner, innerBias), read);
            var gate = to.Activation($"{block}.mlp.act", "hidden_act", "silu");
            to.Add($"{block}.mlp.product", new Multiplication(), gate, up);
            to.Add($"{block}.mlp.down_proj", new Dense(width, innerBias));
            to.Sum($"{block}.sum_2", stream, to.Last);
        }

        var features = to.Add("norm", new RmsNorm(epsilon));
        var bare = type switch { "mistral" => "MistralModel", "qwen2" => "Qwen2Model", _ => "LlamaModel" };
        CausalHeads.Write(to, features, embedding, vocabulary, positions, config.Flag("tie_word_embeddings", false), bare);
    }

    // A window changes nothing for texts that are no longer than it.
    private static void RequireWholeContext(FolderConfig config, string type, int positions, int layers)
    {
        if (type == "llama") return;
        var window = config.Size("sliding_window", int.MaxValue);
        var isUsed = type == "mistral" || config.Flag("use_sliding_window", false);
        var isLate = type == "qwen2" && config.Size("max_window_layers", 28) >= layers;
        if (config.Object("layer_types") is { ValueKind: JsonValueKind.Array } kinds)
        {
            isUsed = kinds.EnumerateArray().Any(kind => kind.ValueKind != JsonValueKind.String || kind.GetString() != "full_attention");
            isLate = false;
        }

        Guard.Require(
            !isUsed || isLate || window >= positions,
            $"{config.Path}: sliding_window: expected a window of {positions} tokens or more, as many as an example has (--input), found {window}; {FolderConfig.Elsewhere}");
    }
}
