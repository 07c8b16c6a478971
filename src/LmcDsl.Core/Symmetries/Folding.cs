using System.Collections.Immutable;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Symmetries;

/// <summary>A norm whose gain is folded into what reads it.</summary>
/// <param name="Norm">The norm's name.</param>
/// <param name="Readers">The dense layers that read it, and nothing else does.</param>
/// <param name="HasShift">Whether it has a shift.</param>
/// <param name="FoldsShift">Whether the shift goes into the readers' biases; else it stays, over the gain.</param>
internal sealed record FoldedNorm(string Norm, ImmutableArray<string> Readers, bool HasShift, bool FoldsShift);

/// <summary>What of an attention's biases does nothing, or can be moved.</summary>
/// <param name="Key">The dense layer of the keys whose bias softmax does not notice: the same for all keys of a query; null where it does.</param>
/// <param name="Value">The dense layer of the values whose bias goes into the output's, as a query's weights sum to 1; null where there is none.</param>
/// <param name="Output">The dense layer that reads the attention.</param>
/// <param name="Repeats">How many heads of queries a head of values serves.</param>
/// <param name="KeyHeads">Heads of values.</param>
internal sealed record FoldedAttention(string? Key, string? Value, string Output, int Repeats, int KeyHeads);

/// <summary>
/// A transformer without what can be written in many ways: gains and shifts of norms folded into the dense layers that read them, biases of
/// keys dropped, biases of values folded into the output's. The folded network computes the same function, and has more symmetries: between
/// norms without gains the residual stream may be rotated. <see cref="Unfold"/> writes a folded model in another one's gains, shifts and
/// biases of values, so that what comes out is a model of the first network.
/// </summary>
/// <remarks>
/// Where two models of the first network have the same gains, shifts and biases of values, their mixtures are, folded, the mixtures of the
/// folded models: the fold is linear in all else. Networks without norms that can be folded, and attention, are their own folded network.
/// </remarks>
public sealed class Folding
{
    // A gain is divided by: of smaller ones, beside the largest, too little of a reader's column would be left.
    private const double LeastGain = 1e-4;

    private readonly ImmutableArray<FoldedNorm> norms;
    private readonly ImmutableArray<FoldedAttention> attentions;
    private readonly Dictionary<string, int> index; // of the network's parameters
    private readonly ImmutableArray<int> kept; // for each parameter of the folded network, its place in the first

    private Folding(Network network, ImmutableArray<FoldedNorm> norms, ImmutableArray<FoldedAttention> attentions)
    {
        (Network, this.norms, this.attentions) = (network, norms, attentions);
        index = network.Parameters.Select((parameter, k) => (parameter.Name, k)).ToDictionary(named => named.Name, named => named.k);
        Folded = norms.IsEmpty ? network : new Network(Bare(network.Architecture, norms));
        kept = [.. Folded.Parameters.Select(parameter => index[parameter.Name])];
    }

    /// <summary>The network.</summary>
    public Network Network { get; }

    /// <summary>The network without the gains that were folded; the same one where there are none.</summary>
    public Network Folded { get; }

    /// <summary>The norms that are folded, and the attention layers whose biases are.</summary>
    public IEnumerable<string> Layers => [.. norms.Select(norm => norm.Norm), .. attentions.Select(attention => attention.Output)];

    /// <summary>Finds what can be folded in a network, for models whose gains are far enough from 0.</summary>
    /// <param name="network">The network.</param>
    /// <param name="models">Models of it: a norm one of whose gains is nearly 0 in one of them is left as it is.</param>
    /// <returns>The folding.</returns>
    public static Folding Of(Network network, params IReadOnlyList<Tensor>[] models)
    {
        var nodes = network.Architecture.Nodes;
        var readers = nodes.SelectMany(node => node.Inputs.Select(read => (read, node))).ToLookup(pair => pair.read, pair => pair.node);
        var last = nodes[^1].Name;
        return new Folding(
            network,
            [.. nodes.Where(node => node.Name != last).Select(node => Norm(node, [.. ReadersOf(node.Name)])).OfType<FoldedNorm>().Where(IsSafe)],
            [.. nodes.Where(node => node.Name != last).Select(node => Attention(network, node, readers)).OfType<FoldedAttention>()]);

        // Pooling over positions lets gains and shifts through: what reads the pooled signal reads the norm.
        IEnumerable<LayerNode> ReadersOf(string name) =>
            readers[name].SelectMany(reader => reader.Layer is SequencePooling && reader.Name != last ? ReadersOf(reader.Name) : [reader]);

        bool IsSafe(FoldedNorm norm)
        {
            var at = network.Parameters.Select((parameter, k) => (parameter.Name, k)).First(named => named.Name == $"{norm.Norm}.weight").k;
            using var scope = NewDisposeScope();
            using var quiet = no_grad();
            return models.All(model => model[at].abs() is var gain && gain.min().ToDouble() > LeastGain * gain.max().ToDouble());
        }
    }

    /// <summary>A model of the folded network.</summary>
    /// <param name="model">Tensors of the network's parameters, of any floating type; left as they are.</param>
    /// <returns>Tensors of the folded network's parameters, in the caller's dispose scope.</returns>
    public Tensor[] Fold(IReadOnlyList<Tensor> model)
    {
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        var all = WithoutGains(model);
        foreach (var attention in attentions)
        {
            if (attention.Key is not null) all[index[$"{attention.Key}.bias"]].zero_();
            if (attention.Value is null) continue;
            var bias = all[index[$"{attention.Value}.bias"]];
            all[index[$"{attention.Output}.bias"]].add_(all[index[$"{attention.Output}.weight"]].mv(Repeated(bias, attention)));
            bias.zero_();
        }

        return [.. kept.Select(k => all[k].MoveToOuterDisposeScope())];
    }

    /// <summary>A model of the network, from one of the folded network, with a reference's gains, shifts, and biases of keys and values.</summary>
    /// <param name="folded">Tensors of the folded network's parameters, what is folded away being 0 there; left as they are.</param>
    /// <param name="reference">Tensors of the network's parameters.</param>
    /// <returns>Tensors of the network's parameters that compute what the folded model does, in the caller's dispose scope.</returns>
    public Tensor[] Unfold(IReadOnlyList<Tensor> folded, IReadOnlyList<Tensor> reference)
    {
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        var all = new Tensor[Network.Parameters.Length];
        for (var k = 0; k < kept.Length; k++) all[kept[k]] = folded[k].clone();
        // What the reference adds to keys and values in all, shifts of norms included: so mixtures of the two add the same.
        var biased = WithoutGains(reference);
        foreach (var attention in attentions)
        {
            if (attention.Key is not null) Take(biased, $"{attention.Key}.bias");
            if (attention.Value is null) continue;
            Take(biased, $"{attention.Value}.bias");
            var bias = Repeated(all[index[$"{attention.Value}.bias"]], attention);
            all[index[$"{attention.Output}.bias"]].sub_(all[index[$"{attention.Output}.weight"]].mv(bias));
        }

        foreach (var norm in norms)
        {
            Take(reference, $"{norm.Norm}.weight");
            var gain = all[index[$"{norm.Norm}.weight"]];
            if (norm.HasShift && !norm.FoldsShift) all[index[$"{norm.Norm}.bias"]].mul_(gain);
            if (norm.FoldsShift) Take(reference, $"{norm.Norm}.bias");
            foreach (var reader in norm.Readers)
            {
                var weight = all[index[$"{reader}.weight"]].div_(gain);
                if (norm.FoldsShift) all[index[$"{reader}.bias"]].sub_(weight.mv(all[index[$"{norm.Norm}.bias"]]));
            }
        }

        return [.. all.Select(tensor => tensor.MoveToOuterDisposeScope())];

        void Take(IReadOnlyList<Tensor> from, string name) => all[index[name]] = from[index[name]].to(folded[0].dtype, folded[0].device, copy: true);
    }

    // All parameters, those of norms in the dense layers that read them.
    private Tensor[] WithoutGains(IReadOnlyList<Tensor> model)
    {
        Tensor[] all = [.. model.Select(tensor => tensor.clone())];
        foreach (var norm in norms)
        {
            var gain = all[index[$"{norm.Norm}.weight"]];
            if (norm.HasShift && !norm.FoldsShift) all[index[$"{norm.Norm}.bias"]].div_(gain);
            foreach (var reader in norm.Readers)
            {
                var weight = all[index[$"{reader}.weight"]];
                if (norm.FoldsShift) all[index[$"{reader}.bias"]].add_(weight.mv(all[index[$"{norm.Norm}.bias"]]));
                weight.mul_(gain);
            }

            if (norm.FoldsShift) all[index[$"{norm.Norm}.bias"]].zero_();
        }

        return all;
    }

    private static FoldedNorm? Norm(LayerNode node, LayerNode[] readers)
    {
        var hasShift = node.Layer is LayerNorm { Affine: true, Scale: true };
        if (!hasShift && node.Layer is not RmsNorm { Affine: true }) return null;
        if (readers.Length == 0 || readers.Any(reader => reader.Layer is not Dense)) return null;
        return new FoldedNorm(
            node.Name, [.. readers.Select(reader => reader.Name)], hasShift, hasShift && readers.All(reader => reader.Layer is Dense { Bias: true }));
    }

    private static FoldedAttention? Attention(Network network, LayerNode node, ILookup<string, LayerNode> readers)
    {
        if (node.Layer is not DotProductAttention attention || readers[node.Name].ToArray() is not [{ Layer: Dense { Bias: true } } output]) return null;
        var key = attention.Rotary ? null : Biased(node.Inputs[1]);
        var value = Biased(node.Inputs[2]);
        var keyHeads = attention.KeyHeads == 0 ? attention.Heads : attention.KeyHeads;
        return key is null && value is null ? null : new FoldedAttention(key, value, output.Name, attention.Heads / keyHeads, keyHeads);

        string? Biased(string name) =>
            readers[name].Count() == 1 && node.Inputs.Count(input => input == name) == 1
            && network.Architecture.Nodes.First(other => other.Name == name).Layer is Dense { Bias: true } ? name : null;
    }

    // As the attention's output has it: each head's part as often as it serves a head of queries.
    private static Tensor Repeated(Tensor bias, FoldedAttention attention) =>
        bias.view(attention.KeyHeads, 1, -1).expand(-1, attention.Repeats, -1).flatten();

    private static Architecture Bare(Architecture architecture, ImmutableArray<FoldedNorm> norms)
    {
        var folded = norms.ToDictionary(norm => norm.Norm);
        return architecture with { Nodes = [.. architecture.Nodes.Select(Node)] };

        LayerNode Node(LayerNode node) => !folded.TryGetValue(node.Name, out var norm)
            ? node
            : node with
            {
                Layer = node.Layer switch
                {
                    RmsNorm rms => new RmsNorm(rms.Epsilon, affine: false),
                    LayerNorm layer => new LayerNorm(layer.Epsilon, affine: !norm.FoldsShift, scale: false),
                    _ => node.Layer,
                },
            };
    }
}
