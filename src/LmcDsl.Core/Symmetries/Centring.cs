using LmcDsl.Core.Architectures;
using LmcDsl.Core.Permutations;
using static TorchSharp.torch;

namespace LmcDsl.Core.Symmetries;

/// <summary>
/// A model without what its layer norms do not see. Where all that reads a stream takes each position's mean over the units away first, the
/// mean of what is written there changes no output; nor does the mean of what is read where a norm left none. Two models may differ in
/// these as they like; centred, they do not.
/// </summary>
public static class Centring
{
    /// <summary>Takes the means away, along axes of streams between layer norms without gains.</summary>
    /// <param name="network">The network; of one whose norms have gains, see <see cref="Folding"/> first.</param>
    /// <param name="model">Tensors of its parameters, of any floating type; changed.</param>
    public static void ApplyInPlace(Network network, IReadOnlyList<Tensor> model)
    {
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        foreach (var axis in Axes(network))
        {
            var units = UnitView.Front(model[axis.Parameter], axis);
            units.sub_(units.mean([axis.Copies.Length], keepdim: true));
        }
    }

    private static IEnumerable<PermutedAxis> Axes(Network network)
    {
        var nodes = network.Architecture.Nodes;
        var readers = nodes.SelectMany(node => node.Inputs.Select(read => (read, node))).ToLookup(pair => pair.read, pair => pair.node);
        var byName = nodes.ToDictionary(node => node.Name);
        var tied = nodes.Where(node => node.Layer is TiedOutput).ToLookup(node => ((TiedOutput)node.Layer).Embedding);
        return network.Turns.Where(turn => turn.Class == SymmetryClass.Centred).SelectMany(turn => turn.Axes).Where(DoNothing);

        // Whether the means along an axis change nothing, in all places where the parameter is used.
        bool DoNothing(PermutedAxis axis)
        {
            var node = byName[network.Parameters[axis.Parameter].Layer];
            return node.Layer switch
            {
                Dense when axis.IsDual => HasNone(node.Inputs[0]),
                Dense or Embedding or LearnedPositions or ClassToken =>
                    IsUnseen(node) && tied[node.Name].All(output => HasNone(output.Inputs[0])),
                _ => false,
            };
        }

        bool IsUnseen(LayerNode node) =>
            node.Name != nodes[^1].Name
            && readers[node.Name].All(reader => reader.Layer is LayerNorm || LetsThrough(reader.Layer) && IsUnseen(reader));

        // Whether a signal has no means over its units.
        bool HasNone(string name) => byName.TryGetValue(name, out var node) && node.Layer switch
        {
            LayerNorm norm => !norm.Affine,
            SequencePooling => HasNone(node.Inputs[0]),
            _ => false,
        };
    }

    // What adds a number to a mean adds it there, and nowhere else.
    private static bool LetsThrough(Layer layer) =>
        layer is Sum or LearnedPositions or SinusoidalPositions or ClassToken or SequencePooling;
}
