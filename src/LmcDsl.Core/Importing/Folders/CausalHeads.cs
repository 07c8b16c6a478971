using LmcDsl.Core.Architectures;

namespace LmcDsl.Core.Importing;

/// <summary>What reads the features of a language model: the next token, classes of the whole text or of each token, or nothing.</summary>
internal static class CausalHeads
{
    /// <summary>Writes the heads that the checkpoint has.</summary>
    /// <param name="to">What they are written with.</param>
    /// <param name="features">The layer that gives the features of each position.</param>
    /// <param name="embedding">The layer of the tokens' table.</param>
    /// <param name="vocabulary">Number of tokens.</param>
    /// <param name="positions">Number of positions.</param>
    /// <param name="isTied">Whether the head of tokens reads that table.</param>
    /// <param name="bare">The class of a model without heads.</param>
    public static void Write(FolderBuilder to, string features, string embedding, int vocabulary, int positions, bool isTied, string bare)
    {
        var isClassifier = to.Has("score.weight") || to.Has("classifier.weight");
        var isCausal = to.Config.Class.EndsWith("ForCausalLM", StringComparison.Ordinal) || to.Config.Class.EndsWith("LMHeadModel", StringComparison.Ordinal);
        if (!isTied && (isCausal || to.Has("lm_head.weight"))) to.Output(to.Add("lm_head", new Dense(vocabulary, bias: false), features));
        else if (isTied && !isClassifier && (to.Has("lm_head.weight") || to.Config.Class != bare))
        {
            to.Output(to.Add("lm_head", new TiedOutput(embedding, vocabulary), features));
            to.Copies["lm_head.weight"] = $"{embedding}.weight";
        }

        if (to.Has("score.weight"))
        {
            // The last token's is the text's.
            to.Add("last", new Gathering(0, [positions - 1], drop: true), features);
            to.Output(to.Add("score", new Dense(to.Classes("score.weight"), to.Has("score.bias"))));
        }

        if (to.Has("classifier.weight"))
            to.Output(to.Add("classifier", new Dense(to.Classes("classifier.weight"), to.Has("classifier.bias")), features));
        to.Features(features);
    }
}
