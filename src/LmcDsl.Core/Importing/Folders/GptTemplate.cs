using System.Text.RegularExpressions;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Importing;

/// <summary>
/// GPT-2: learned positions, norms before each part, queries, keys and values in one weight, weights that lie the other way round; a head of
/// tokens, tied to the embedding or not, or of classes.
/// </summary>
internal sealed partial class GptTemplate : FolderTemplate
{
    /// <inheritdoc/>
    public override IReadOnlyList<string> Types => ["gpt2"];

    /// <inheritdoc/>
    public override IReadOnlyList<string> Prefixes => ["transformer."];

    /// <inheritdoc/>
    public override IReadOnlyList<string> Body => ["wte.", "wpe.", "h.", "ln_f."];

    /// <inheritdoc/>
    public override bool IsBuffer(string name) => Masks().IsMatch(name);

    /// <inheritdoc/>
    public override void Write(FolderBuilder to)
    {
        var config = to.Config;
        int vocabulary = config.Size("vocab_size"), width = config.Size("n_embd", also: "hidden_size"), heads = config.Size("n_head", also: "num_attention_heads");
        int layers = to.Layers("n_layer", "num_hidden_layers"), most = config.Size("n_positions", also: "max_position_embeddings");
        var inner = config.Size("n_inner", Sizes.Product($"{config.Path}: n_embd: inner units", 4, width));
        var epsilon = config.Number("layer_norm_epsilon", 1e-5);
        config.Only("scale_attn_weights", "true", "true");
        config.Only("scale_attn_by_inverse_layer_idx", "false", "false");
        config.Only("add_cross_attention", "false", "false");
        var positions = to.Tokens("n_positions", most);
        to.Add("wte", new Embedding(vocabulary, width));
        to.Add("wpe", new LearnedPositions(most));
        for (var k = 0; k < layers; k++) Block(to, $"h.{k}", width, heads, inner, epsilon);
        var features = to.Add("ln_f", new LayerNorm(epsilon));
        CausalHeads.Write(to, features, "wte", vocabulary, positions, config.Flag("tie_word_embeddings", true), "GPT2Model");
    }

    private static void Block(FolderBuilder to, string block, int width, int heads, int inner, double epsilon)
    {
        var stream = to.Last;
        to.Add($"{block}.ln_1", new LayerNorm(epsilon));
        var all = to.Add($"{block}.attn.c_attn", new TurnedDense(3 * width));
        string Part(string name, int k) => to.Add($"{block}.attn.{name}", new Slice(k * width, width, 1), all);
        to.Add($"{block}.attn", new DotProductAttention(heads, causal: true), Part("query", 0), Part("key", 1), Part("value", 2));
        to.Add($"{block}.attn.c_proj", new TurnedDense(width));
        stream = to.Sum($"{block}.sum_1", stream, to.Last);
        to.Add($"{block}.ln_2", new LayerNorm(epsilon));
        to.Add($"{block}.mlp.c_fc", new TurnedDense(inner));
        to.Activation($"{block}.mlp.act", "activation_function", "gelu_new");
        to.Add($"{block}.mlp.c_proj", new TurnedDense(width));
        to.Sum($"{block}.sum_2", stream, to.Last);
    }

    [GeneratedRegex(@"^h\.\d+\.attn\.(masked_)?bias$")]
    private static partial Regex Masks();
}
