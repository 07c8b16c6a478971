using LmcDsl.Core.Architectures;

namespace LmcDsl.Core.Importing;

/// <summary>
/// BERT on texts of one kind without padding: tokens, learned positions and the first kind's vector, norms after each part; heads of masked
/// tokens (tied to the embedding or not), of the next sentence, of classes of texts or tokens, or of answers.
/// </summary>
internal sealed class BertTemplate : FolderTemplate
{
    private const string Words = "embeddings.word_embeddings";

    /// <inheritdoc/>
    public override IReadOnlyList<string> Types => ["bert"];

    /// <inheritdoc/>
    public override IReadOnlyList<string> Prefixes => ["bert."];

    /// <inheritdoc/>
    public override IReadOnlyList<string> Body => ["embeddings.", "encoder.", "pooler."];

    /// <inheritdoc/>
    public override void Write(FolderBuilder to)
    {
        var config = to.Config;
        int vocabulary = config.Size("vocab_size"), width = config.Size("hidden_size"), heads = config.Size("num_attention_heads");
        int layers = to.Layers("num_hidden_layers"), inner = config.Size("intermediate_size");
        int most = config.Size("max_position_embeddings"), kinds = config.Size("type_vocab_size", 2);
        var epsilon = config.Number("layer_norm_eps", 1e-12);
        config.Only("position_embedding_type", "absolute", "absolute");
        config.Only("is_decoder", "false", "false");
        to.Tokens("max_position_embeddings", most);
        to.Add(Words, new Embedding(vocabulary, width));
        var words = to.Add("embeddings.position_embeddings", new LearnedPositions(most));
        to.Parameter("embeddings.token_type_embeddings.weight", ParameterRole.Weight, kinds, width);
        to.Add("embeddings.kind", new Gathering(0, [0]));
        to.Add("embeddings.sum", new Arithmetic(ArithmeticFunction.Add), words, to.Last);
        to.Add("embeddings.LayerNorm", new LayerNorm(epsilon));
        for (var k = 0; k < layers; k++) Block(to, $"encoder.layer.{k}", width, heads, inner, epsilon);
        Heads(to, to.Last, vocabulary, width, epsilon);
    }

    private static void Block(FolderBuilder to, string block, int width, int heads, int inner, double epsilon)
    {
        var (stream, self) = (to.Last, $"{block}.attention.self");
        to.Attention(
            self, new DotProductAttention(heads), ($"{self}.query", new Dense(width)), ($"{self}.key", new Dense(width)), ($"{self}.value", new Dense(width)));
        to.Add($"{block}.attention.output.dense", new Dense(width));
        to.Sum($"{block}.attention.output.sum", stream, to.Last);
        stream = to.Add($"{block}.attention.output.LayerNorm", new LayerNorm(epsilon));
        to.Add($"{block}.intermediate.dense", new Dense(inner));
        to.Activation($"{block}.intermediate.act", "hidden_act", "gelu");
        to.Add($"{block}.output.dense", new Dense(width));
        to.Sum($"{block}.output.sum", stream, to.Last);
        to.Add($"{block}.output.LayerNorm", new LayerNorm(epsilon));
    }

    private static void Heads(FolderBuilder to, string features, int vocabulary, int width, double epsilon)
    {
        if (to.Has("cls.predictions.transform.dense.weight")) MaskedTokens(to, features, vocabulary, width, epsilon);
        string? pooled = null;
        if (to.Has("pooler.dense.weight"))
        {
            to.Add("pooler.first", new Gathering(0, [0], drop: true), features);
            to.Add("pooler.dense", new Dense(width));
            pooled = to.Add("pooler.act", new Activation(ActivationFunction.Tanh));
        }

        if (to.Has("cls.seq_relationship.weight") && pooled is not null) to.Output(to.Add("cls.seq_relationship", new Dense(2), pooled));
        if (to.Has("classifier.weight")) to.Output(to.Add("classifier", new Dense(Classes(to)), pooled ?? features));
        if (to.Has("qa_outputs.weight")) to.Output(to.Add("qa_outputs", new Dense(to.SizeOf("qa_outputs.weight")), features));
        to.Features(features);
        // What nobody reads here is read by who takes the model's output.
        var isRead = to.Has("cls.seq_relationship.weight") || to.Has("classifier.weight");
        if (pooled is not null && (!isRead || to.HasUnknownHead)) to.Output(pooled);
    }

    // A choice among texts has one number for each.
    private static int Classes(FolderBuilder to) =>
        to.Config.Class == "BertForMultipleChoice" ? to.SizeOf("classifier.weight") : to.Classes("classifier.weight");

    private static void MaskedTokens(FolderBuilder to, string features, int vocabulary, int width, double epsilon)
    {
        to.Add("cls.predictions.transform.dense", new Dense(width), features);
        to.Activation("cls.predictions.transform.act", "hidden_act", "gelu");
        to.Add("cls.predictions.transform.LayerNorm", new LayerNorm(epsilon));
        if (to.Config.Flag("tie_word_embeddings", true))
        {
            to.Add("cls.predictions.decoder", new TiedOutput(Words, vocabulary));
            to.Copies["cls.predictions.decoder.weight"] = $"{Words}.weight";
        }
        else
        {
            to.Add("cls.predictions.decoder", new Dense(vocabulary, bias: false));
        }

        var logits = to.Last;
        to.Parameter("cls.predictions.bias", ParameterRole.Bias, vocabulary);
        to.Copies["cls.predictions.decoder.bias"] = "cls.predictions.bias";
        to.Output(to.Add("cls.predictions.logits", new Arithmetic(ArithmeticFunction.Add), logits, to.Last));
    }
}
