using LmcDsl.Core.Checkpoints;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Importing;

/// <summary>
/// Makes a graph's tensors those of a checkpoint that it was exported from, by their numbers: those that are equal, transposed, parts, or rows
/// by their places; gates that stand in another order; norms that were folded into weights. What is found is written into the graph as nodes
/// on the checkpoint's tensors, as an export that folds nothing has them. Where numbers leave several ways, the module in which a node stands
/// decides, or nothing does.
/// </summary>
internal sealed class NameSearch : IDisposable
{
    private static readonly string[] Told = ["Resize", "Upsample", "Pad", "Clip", "Dropout"];

    private readonly OnnxProto proto;
    private readonly string folder;
    private readonly string path;
    private readonly KnownTensors known;
    private readonly GraphEdit edit;
    private readonly Dictionary<string, OnnxTensor> given;
    private readonly Dictionary<string, List<(OnnxNode Node, int Input)>> readers = [];
    private readonly Dictionary<string, Tensor> numbers = [];
    private readonly HashSet<string> lost = []; // tensors that the checkpoint has not under their names
    private readonly List<string> kept = [];
    private int fused, gates, renamed, turned, parts;

    /// <summary>Takes a graph and a checkpoint.</summary>
    /// <param name="proto">The graph; it is changed.</param>
    /// <param name="folder">The model's folder.</param>
    /// <param name="source">The checkpoint; it must stay open while the model's numbers are asked for.</param>
    /// <param name="rename">How its names become the network's; where none is given, without wrappers.</param>
    public NameSearch(OnnxProto proto, string folder, TensorSource source, Func<string, string>? rename)
    {
        (this.proto, this.folder, path) = (proto, folder, source.Path);
        var nodes = OnnxFunctions.Inline(proto.Nodes, proto.Functions);
        proto.Functions.Clear();
        proto.Nodes.Clear();
        proto.Nodes.AddRange(nodes);
        given = proto.Initializers.Where(tensor => tensor.IsReal && tensor.Shape.Count > 0).GroupBy(tensor => tensor.Name).ToDictionary(group => group.Key, group => group.First());
        string[] modules = [.. nodes.Select(node => LayerNames.Scope(node.Name)).OfType<string>().Distinct()];
        known = new KnownTensors(source, [.. given.Keys.Where(name => !LayerNames.IsLost(name)), .. modules], rename);
        edit = new GraphEdit(proto);
    }

    /// <summary>Changes the graph.</summary>
    /// <returns>What was found, in words.</returns>
    /// <exception cref="LmcException">Something was not found, or several ways are left: the line says what.</exception>
    public string Run()
    {
        try
        {
            return Searched();
        }
        catch (Exception error) when (error is System.Runtime.InteropServices.ExternalException or ArithmeticException or ArgumentException or IndexOutOfRangeException or InvalidOperationException)
        {
            throw new LmcException($"expected tensors of shapes that fit their operators, to be held against {path}, found others", error);
        }
    }

    private string Searched()
    {
        Identities();
        foreach (var node in Everywhere(proto.Nodes)) Read(node);
        RequireNumbers();
        foreach (var node in proto.Nodes.Where(node => node.Operator is "LSTM" or "GRU" or "RNN").ToArray()) Recurrent(node);
        Norms();
        foreach (var name in lost.ToArray()) Find(name);
        edit.Write();
        List<string> said = [];
        if (fused > 0) said.Add($"{fused} norms that were folded into weights");
        if (gates > 0) said.Add($"{gates} recurrent layers");
        if (renamed > 0) said.Add($"{renamed} tensors under other names");
        if (turned > 0) said.Add($"{turned} tensors with their axes in another order");
        if (parts > 0) said.Add($"{parts} parts of tensors");
        if (kept.Count > 0) said.Add($"kept as a part of the graph, being like none of the checkpoint's tensors: {Excerpt.Of(kept, 5)}");
        return string.Join("; ", said);
    }

    /// <summary>The names that the network must have, where tensors were kept as parts of the graph: then nothing may be left over.</summary>
    public IEnumerable<string> Required => kept.Count == 0 ? [] : known.All.Select(tensor => tensor.Name);

    public void Dispose()
    {
        known.Dispose();
        foreach (var tensor in numbers.Values) tensor.Dispose();
    }

    // Tensors of equal numbers are stored once, and read through identities under their other names.
    private void Identities()
    {
        foreach (var node in proto.Nodes.Where(node => node.IsIdentity).ToArray())
        {
            if (!given.TryGetValue(node.Inputs[0], out var tensor)) continue;
            given[node.Outputs[0]] = tensor;
            proto.Nodes.Remove(node);
        }
    }

    private void Read(OnnxNode node)
    {
        for (var k = 0; k < node.Inputs.Count; k++)
            if (given.ContainsKey(node.Inputs[k]))
            {
                if (!readers.TryGetValue(node.Inputs[k], out var all)) readers[node.Inputs[k]] = all = [];
                all.Add((node, k));
            }
    }

    private static IEnumerable<OnnxNode> Everywhere(IEnumerable<OnnxNode> nodes) =>
        nodes.SelectMany(node => Everywhere(node.Attributes.Values.Where(attribute => attribute.Graph is not null).SelectMany(attribute => attribute.Graph!.Nodes)).Prepend(node));

    // Under its own name a tensor must be the checkpoint's: else the graph is another model's, and numbers say nothing.
    private void RequireNumbers()
    {
        foreach (var (name, tensor) in given.Where(pair => readers.ContainsKey(pair.Key)))
        {
            var own = name.StartsWith(known.Wrapper, StringComparison.Ordinal) ? known.Find(name[known.Wrapper.Length..]) : null;
            if (own is not null && own.Shape.AsSpan().SequenceEqual([.. tensor.Shape]))
            {
                using var scope = NewDisposeScope();
                var numbers = Numbers(name);
                if (TensorMap.Same(own.Numbers, numbers))
                {
                    Use(name, edit.Known(own));
                    continue;
                }

                // A norm may have been folded into it under its name.
                Guard.Require(IsBefore(name), $"expected the graph's numbers in a checkpoint that it was exported from, found others in '{own.Name}' of {path}");
            }

            // What an operator is told beside its data, such as scales of a resize, is no weight.
            if (tensor.Shape.All(size => size > 0) && !readers[name].All(reader => Told.Contains(reader.Node.Operator) && reader.Input > 0)) lost.Add(name);
        }

        bool IsBefore(string name) => readers[name] is [({ Operator: "Conv" or "ConvTranspose" or "Gemm" }, 1 or 2)];
    }

    private void Recurrent(OnnxNode node)
    {
        if (node.Inputs.Count < 3 || !node.Inputs.Skip(1).Any(given.ContainsKey)) return;
        string[] before = [.. node.Inputs];
        var fits = RecurrentNames.Write(node, name => given.ContainsKey(name) ? Numbers(name) : null, known, Module(node), edit);
        Guard.Require(fits <= 1, $"{node.Place}: expected weights of one layer of {path}, found {fits} layers of equal numbers");
        if (fits == 0) return;
        gates++;
        foreach (var name in before.Skip(1).Take(3).Where(given.ContainsKey)) Done(name);
    }

    private void Norms()
    {
        var used = given.Keys.Where(name => !lost.Contains(name)).ToHashSet();
        var norms = FusedNorms.Of(known).Where(norm => !used.Contains(known.Wrapper + norm.Mean.Name)).ToArray();
        if (norms.Length == 0) return;
        var found = new List<(OnnxNode Node, List<FusedNorm> Fits)>();
        foreach (var node in proto.Nodes.Where(node => node.Operator is "Conv" or "ConvTranspose" or "Gemm" && node.Inputs.Count > 2))
        {
            if (!(lost.Contains(node.Inputs[1]) && lost.Contains(node.Inputs[2])) || !NodeWeights.IsPlain(node)) continue;
            using var scope = NewDisposeScope();
            var (weight, bias) = (Numbers(node.Inputs[1]), Numbers(node.Inputs[2]));
            // Rows of the checkpoint's weight are as the graph's, but for a product's, which may lie the other way round.
            var rows = NodeWeights.Rows(node, weight, NodeWeights.IsTurned(node));
            if (bias.dim() != 1 || bias.shape[0] != rows.shape[0]) continue;
            long[] shape = NodeWeights.IsTurned(node) ? [.. weight.shape.Reverse()] : weight.shape;
            var all = known.All.Where(tensor => tensor.Shape.AsSpan().SequenceEqual(shape)).ToArray();
            var fits = new List<FusedNorm>();
            foreach (var candidates in Tiers(Module(node), all))
            {
                fits = FusedNorms.Fits(
                    rows, bias, candidates.Select(own => (own, NodeWeights.Rows(node, own.Numbers, turned: false), known.Beside(own, "weight", "bias") is { } beside && beside.Shape.AsSpan().SequenceEqual([rows.shape[0]]) ? beside : null)), norms);
                if (fits.Count > 0) break;
            }

            if (fits.Count > 0) found.Add((node, fits));
        }

        Eliminate(found.Select(node => node.Fits).ToList());
        foreach (var (node, fits) in found)
        {
            Guard.Require(
                fits.Count == 1,
                $"{node.Place}: expected one norm of {path} that was folded into its weight, found several of equal numbers: {Excerpt.Of([.. fits.Select(fit => $"{fit.Norm.Name} after {fit.Weight.Name}")], 5)}");
            Unfold(node, fits[0]);
        }
    }

    // A norm that only one place can have is no other's.
    private static void Eliminate(IReadOnlyList<List<FusedNorm>> all)
    {
        for (var changed = true; changed;)
        {
            changed = false;
            foreach (var single in all.Where(fits => fits.Count == 1))
                foreach (var other in all.Where(fits => fits.Count > 1)) changed |= other.RemoveAll(fit => fit.Norm == single[0].Norm) > 0;
        }
    }

    // The weight and the bias as they were, and the norm after them.
    private void Unfold(OnnxNode node, FusedNorm fit)
    {
        Done(node.Inputs[1]);
        Done(node.Inputs[2]);
        var weight = edit.Known(fit.Weight);
        node.Inputs[1] = NodeWeights.IsTurned(node) ? edit.Node("Transpose", [weight], OnnxAttribute.Of("perm", 1, 0)) : weight;
        if (fit.Bias is null) node.Inputs.RemoveAt(2);
        else node.Inputs[2] = edit.Known(fit.Bias);
        var count = fit.Norm.Mean.Shape[0];
        var scale = fit.Norm.Scale is { } own ? edit.Known(own) : edit.Fixed($"ones_{count}", count, () => ones(count));
        var shift = fit.Norm.Shift is { } zero ? edit.Known(zero) : edit.Fixed($"zeros_{count}", count, () => zeros(count));
        var output = node.Outputs[0];
        node.Outputs[0] = $"{output}/before";
        proto.Nodes.Insert(
            proto.Nodes.IndexOf(node) + 1,
            OnnxNode.Of(
                "BatchNormalization", [node.Outputs[0], scale, shift, edit.Known(fit.Norm.Mean), edit.Known(fit.Norm.Variance)], output,
                OnnxAttribute.OfNumber("epsilon", fit.Epsilon)));
        fused++;
    }

    // One tensor for each node that reads it: equal ones of several layers may have been stored as one.
    private void Find(string name)
    {
        using var scope = NewDisposeScope();
        var (tensor, numbers) = (given[name], Numbers(name));
        foreach (var (node, input) in readers[name].Where(reader => reader.Node.Inputs[reader.Input] == name))
        {
            if (Way(numbers, name, node) is { } way)
            {
                if (way.IsSame) renamed++;
                else if (way.Places.All(places => places is null)) turned++;
                else parts++;
                node.Inputs[input] = way.Write(edit);
                continue;
            }

            // What is like no tensor of the checkpoint is none, such as a mask.
            var shape = Significant(tensor.Shape);
            Guard.Require(
                known.All.All(other => !Significant(other.Shape).SequenceEqual(shape)),
                $"{node.Place}: expected numbers of {path} (equal, transposed, a part, gates in another order, or with a norm folded in), found others in '{name}'");
            // A part of the graph stays as it is: it must not be what the checkpoint's own numbers were made into.
            var origin = known.All.FirstOrDefault(other => other.HasNumbersOf(numbers));
            Guard.Require(
                origin is null,
                $"{node.Place}: expected numbers of {path} as they lie there, found those of '{origin?.Name}' in another shape in '{name}', which would stay when that is permuted");
            tensor.IsFixed = true;
            node.Inputs[input] = tensor.Name;
            if (!kept.Contains(name)) kept.Add(name);
        }

        static long[] Significant(IEnumerable<long> shape) => [.. shape.Where(size => size != 1).Order()];
    }

    private TensorMap? Way(Tensor numbers, string name, OnnxNode node)
    {
        KnownTensor[] all = [.. known.All];
        foreach (var search in new Func<Tensor, KnownTensor, TensorMap?>[] { TensorMap.Whole, TensorMap.Parts })
            foreach (var tier in Tiers(Module(node), all))
            {
                TensorMap[] ways = [.. tier.Select(own => search(numbers, own)).OfType<TensorMap>()];
                if (ways.Length == 0) continue;
                Guard.Require(
                    ways.Length == 1,
                    $"{node.Place}: expected one tensor of {path} that '{name}' is, found several of equal numbers: {Excerpt.Of([.. ways.Select(way => way.Source.Name)], 5)}");
                return ways[0];
            }

        return null;
    }

    // Where to look first: in the module in which the node stands, in what is within it, everywhere.
    private static IEnumerable<KnownTensor[]> Tiers(string? module, KnownTensor[] all)
    {
        if (module is not null)
        {
            var within = all.Where(tensor => tensor.Name.StartsWith($"{module}.", StringComparison.Ordinal)).ToArray();
            yield return [.. within.Where(tensor => tensor.Name.IndexOf('.', module.Length + 1) < 0)];
            yield return within;
        }

        yield return all;
    }

    private string? Module(OnnxNode node) =>
        LayerNames.Scope(node.Name) is { } scope && $"{scope}.".StartsWith(known.Wrapper, StringComparison.Ordinal) && scope.Length > known.Wrapper.Length ? scope[known.Wrapper.Length..] : null;

    private void Use(string name, string other)
    {
        if (name == other) return;
        foreach (var (node, input) in readers[name]) node.Inputs[input] = other;
    }

    private void Done(string name) => lost.Remove(name);

    private Tensor Numbers(string name)
    {
        if (!numbers.TryGetValue(name, out var own)) numbers[name] = own = given[name].Load(folder).DetachFromDisposeScope();
        return own;
    }
}
