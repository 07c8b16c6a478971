using LmcDsl.Core.Architectures;
using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>
/// What two models are compared by: their parameters, or these with other singular values or norms. Whatever rotates or permutes a model
/// does so to its terms, so that the element that is best for the terms can be applied to the model.
/// </summary>
internal sealed class RotatedTerms(Network network, RotatedMatchingOptions options, IReadOnlyList<double>? frequencies = null)
{
    // Tables of tokens, and the weights of what tells the next one.
    private readonly HashSet<string> ofTokens = frequencies is null ? [] : TokenFrequencies.TablesOf(network.Architecture);

    /// <summary>A model's terms.</summary>
    /// <param name="model">Tensors of its parameters, in double; left as they are.</param>
    /// <param name="other">The model that it is compared with.</param>
    /// <returns>New tensors, in the caller's dispose scope.</returns>
    public Tensor[] Of(IReadOnlyList<Tensor> model, IReadOnlyList<Tensor> other) =>
        [.. network.Parameters.Select((parameter, k) => Of(parameter, Counted(parameter, model[k]), Counted(parameter, other[k])))];

    // Each token's row as often as the token occurs, in products of two models.
    private Tensor Counted(ParameterSpec parameter, Tensor own)
    {
        if (!ofTokens.Contains(parameter.Name)) return own;
        var roots = tensor(frequencies!.Select(f => Math.Sqrt(f * frequencies!.Count)).ToArray(), device: own.device);
        return own * roots.unsqueeze(1);
    }

    private Tensor Of(ParameterSpec parameter, Tensor own, Tensor other)
    {
        using var scope = NewDisposeScope();
        var isWeight = parameter.Role == ParameterRole.Weight && own.dim() >= 2 && options.Power != 1;
        var term = isWeight ? Powered(own) : own.clone();
        if (options.Normalised)
        {
            var norms = own.norm().ToDouble() * other.norm().ToDouble();
            if (isWeight) norms = term.norm().ToDouble() * Powered(other).norm().ToDouble();
            if (norms > 0) term.div_(Math.Sqrt(norms));
        }

        return term.MoveToOuterDisposeScope();
    }

    // U S^p V' of the matrix [outputs, everything else], scaled so that the largest singular value stays.
    private Tensor Powered(Tensor weight)
    {
        var (u, s, v) = linalg.svd(weight.flatten(1), fullMatrices: false);
        var largest = s.max().clamp_min(1e-300);
        return (u * (s / largest).pow(options.Power).mul(largest).unsqueeze(0)).matmul(v).view(weight.shape);
    }
}
