using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// A wired architecture's layers, one after another, as a function of parameters and input: each with the outputs that it reads, numbered from
/// 1 in the order of the nodes, the input being 0, and the parameters that it owns.
/// </summary>
internal sealed class ForwardPass
{
    private readonly Architecture architecture;
    private readonly (Layer Layer, int[] Inputs, int[] Parameters)[] steps;
    private readonly int[][] lastReads; // of each step: the outputs that none after it reads
    private readonly long[][] shapes; // of each node's output for one example, as it was wired
    private bool isChecked; // whether a whole pass gave outputs of these shapes

    /// <summary>Takes the layers in their order.</summary>
    /// <param name="architecture">The description.</param>
    /// <param name="owned">Each node's parameters, by their places in the list of all.</param>
    /// <param name="shapes">Each node's output for one example.</param>
    public ForwardPass(Architecture architecture, ILookup<string, int> owned, long[][] shapes)
    {
        (this.architecture, this.shapes) = (architecture, shapes);
        var index = new Dictionary<string, int> { [Architecture.InputName] = 0 };
        foreach (var (k, node) in architecture.Nodes.Index()) index[node.Name] = k + 1;
        steps =
        [
            .. architecture.Nodes.Select(node => (node.Layer, node.Inputs.Select(read => index[read]).ToArray(), owned[node.Name].ToArray())),
        ];
        lastReads = LastReads();
        FirstLinear = FindFirstLinear();
    }

    /// <summary>
    /// Index of the first layer with parameters, where it is linear in them and all that follows reads it alone; -1 where there is no such.
    /// </summary>
    public int FirstLinear { get; }

    /// <summary>The parameters of a layer, by their places in the list of all.</summary>
    public IReadOnlyList<int> Owned(int layer) => steps[layer].Parameters;

    /// <summary>The last layer's output given the input, in the caller's dispose scope. The first whole pass checks each output's shape.</summary>
    public Tensor Whole(IReadOnlyList<Tensor> parameters, Tensor input, Mode mode, Action<string, Tensor>? tap, Precision precision)
    {
        var output = Part(0, input, steps.Length, parameters, mode, tap, precision);
        isChecked = true;
        return output;
    }

    /// <summary>The output numbered <paramref name="to"/>, given the one numbered <paramref name="from"/> and nothing before it.</summary>
    /// <remarks>
    /// What a layer made is freed when it has been read for the last time, so that the next layer's output takes its place in the caches;
    /// gradients keep what they need of it themselves.
    /// </remarks>
    public Tensor Part(
        int from, Tensor given, int to, IReadOnlyList<Tensor> parameters, Mode mode = Mode.Evaluation, Action<string, Tensor>? tap = null,
        Precision precision = Precision.Float32)
    {
        var outputs = new Tensor[steps.Length + 1];
        outputs[from] = given;
        var isMade = new bool[outputs.Length];
        for (var k = from; k < to; k++)
        {
            var (layer, reads, owns) = steps[k];
            Tensor[] inputs = [.. reads.Select(i => outputs[i])];
            Tensor[] own = [.. owns.Select(i => parameters[i])];
            using (var scope = NewDisposeScope())
            {
                var output = precision == Precision.Mixed ? MixedPrecision.Forward(layer, own, inputs, mode) : layer.Forward(own, inputs, mode);
                isMade[k + 1] = scope.Contains(output);
                if (isMade[k + 1]) scope.MoveToOuter(output);
                outputs[k + 1] = output;
            }

            // A layer may hand on what it read.
            foreach (var read in reads) isMade[read] &= !ReferenceEquals(outputs[read], outputs[k + 1]);
            if (!isChecked) RequireWired(k, outputs[k + 1]);
            tap?.Invoke(architecture.Nodes[k].Name, outputs[k + 1]);
            foreach (var read in lastReads[k])
                if (isMade[read]) outputs[read].Dispose();
        }

        return outputs[to];
    }

    private int[][] LastReads()
    {
        var last = Enumerable.Range(-1, steps.Length + 1).ToArray(); // one that nothing reads, where it is made
        for (var k = 0; k < steps.Length; k++)
            foreach (var read in steps[k].Inputs) last[read] = k;
        var outputsOf = Enumerable.Range(1, steps.Length - 1).ToLookup(output => last[output]);
        return [.. steps.Select((_, k) => outputsOf[k].ToArray())];
    }

    // A layer whose wiring and computation disagree would be told far from where it stands. Once is enough.
    private void RequireWired(int k, Tensor output) =>
        Guard.Require(
            output.dim() >= 1 && output.shape.AsSpan(1).SequenceEqual(shapes[k]),
            $"layer '{architecture.Nodes[k].Name}': expected an output {Guard.Show([-1, .. shapes[k]])} as it is wired, the batch first, found {Guard.Show(output.shape)}");

    private int FindFirstLinear()
    {
        var first = Array.FindIndex(steps, step => step.Parameters.Length > 0);
        var isLinear = first >= 0 && steps[first].Layer.Linear is not null;
        // What follows must not read anything before the layer's own output.
        return isLinear && steps.Skip(first + 1).All(step => step.Inputs.All(read => read > first)) ? first : -1;
    }
}
