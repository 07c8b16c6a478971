using static TorchSharp.torch;

namespace LmcDsl.Core.Importing;

/// <summary>How products and convolutions of a graph read their weights.</summary>
internal static class NodeWeights
{
    /// <summary>Whether a product reads its weight with a row for each unit that it reads.</summary>
    public static bool IsTurned(OnnxNode node) => node.Operator == "Gemm" && node.Int("transB", 0) == 0;

    /// <summary>Whether a product has no factors of its own.</summary>
    public static bool IsPlain(OnnxNode node) => node.Operator != "Gemm"
        || new[] { "alpha", "beta" }.All(name => !node.Attributes.TryGetValue(name, out var given) || given.Float == 1);

    /// <summary>A row of numbers for each channel that the node gives.</summary>
    public static Tensor Rows(OnnxNode node, Tensor weight, bool turned)
    {
        if (node.Operator == "ConvTranspose")
        {
            var groups = node.Int("group", 1);
            return weight.reshape([groups, weight.shape[0] / groups, weight.shape[1], -1]).permute(0, 2, 1, 3).reshape([groups * weight.shape[1], -1]);
        }

        return (turned ? weight.t() : weight).reshape([turned ? weight.shape[1] : weight.shape[0], -1]);
    }
}
