using LmcDsl.Core.Architectures;
using static TorchSharp.torch;

namespace LmcDsl.Core.Importing;

/// <summary>Recurrent layers, whose weights come as values: exports reorder their gates by slices.</summary>
internal static class RecurrentRules
{
    public static Dictionary<string, GraphRule> All { get; } = new()
    {
        ["LSTM"] = Lstm,
        ["GRU"] = Gru,
        ["RNN"] = Plain,
    };

    private static GraphValue[] Lstm(GraphNode at)
    {
        at.Require(at.Optional(7) is null && at.Int("input_forget", 0) == 0, "gates that see no cell", "peepholes");
        RequireActivations(at, "Sigmoid", "Tanh", "Tanh");
        return Each(at, 4, cells: true, inputs =>
        {
            var hidden = Run(at, RecurrentCell.Lstm, inputs);
            return (hidden, at.Gives(2) ? Run(at, RecurrentCell.LstmCells, inputs) : hidden);
        });
    }

    private static GraphValue[] Gru(GraphNode at)
    {
        RequireActivations(at, "Sigmoid", "Tanh");
        var cell = at.Int("linear_before_reset", 0) == 1 ? RecurrentCell.GruResetAfter : RecurrentCell.Gru;
        return Each(at, 3, cells: false, inputs => (Run(at, cell, inputs), null));
    }

    private static GraphValue[] Plain(GraphNode at)
    {
        var relu = at.Proto.Attributes.TryGetValue("activations", out var given) && given.Texts.All(text => text == "Relu") && given.Texts.Count > 0;
        if (!relu) RequireActivations(at, "Tanh");
        return Each(at, 1, cells: false, inputs => (Run(at, relu ? RecurrentCell.Relu : RecurrentCell.Tanh, inputs), null));
    }

    // Sequences beside the steps are run one after the other; there is one, but where others than examples lie there.
    private static GraphValue[] Each(GraphNode at, int gates, bool cells, Func<GraphValue[], (GraphValue Hidden, GraphValue? Cells)> run)
    {
        var first = at.Int("layout", 0) == 1;
        var x = at.Graph.Unled(at.Proto, at.In(0));
        at.Require(x.Rank == 3, "a sequence [steps, batch, features]", string.Join(" x ", x.Shape));
        var outputs = new List<GraphValue[]>();
        for (var k = 0; k < x.Shape[first ? 0 : 1]; k++)
        {
            var (hidden, cell) = run(Inputs(at, at.Slice(x, first ? 0 : 1, k, 1), k, gates, cells, first));
            outputs.Add([Sequence(at, hidden, first), Last(at, hidden, first), Last(at, cell ?? hidden, first)]);
        }

        if (outputs.Count == 1) return outputs[0];
        return [.. Enumerable.Range(0, 3).Select(o => at.Emit(new Concatenation(first ? 0 : o == 0 ? 2 : 1), lead: false, [.. outputs.Select(each => at.Graph.Unled(at.Proto, each[o]))]))];
    }

    private static void RequireActivations(GraphNode at, params string[] usual)
    {
        at.Require(!at.Has("clip"), "no clip", "one");
        if (!at.Proto.Attributes.TryGetValue("activations", out var given) || given.Texts.Count == 0) return;
        at.Require(
            given.Texts.Count % usual.Length == 0 && given.Texts.Select((text, k) => text == usual[k % usual.Length]).All(same => same),
            $"the activations {string.Join(", ", usual)}", string.Join(", ", given.Texts));
    }

    // The sequence [steps, features] of one example, then weights, biases and starts.
    private static GraphValue[] Inputs(GraphNode at, GraphValue x, int example, int gates, bool cells, bool first)
    {
        GraphValue w = at.Graph.Unled(at.Proto, at.In(1)), r = at.Graph.Unled(at.Proto, at.In(2));
        at.Require(w.Rank == 3 && r.Rank == 3, "weights of 3 axes", string.Join(" x ", w.Shape));
        var steps = first ? x.Shape[1] : x.Shape[0];
        at.Require(at.Optional(4) is not { } lengths || (at.Graph.Whole(lengths) is { } told && told.All(length => length == steps)), "sequences of one length", "lengths");
        var (directions, hidden) = (w.Shape[0], r.Shape[2]);
        GraphValue Zeros(params long[] shape) => at.Graph.Constant("zeros", zeros(shape));
        GraphValue Start(int input)
        {
            if (at.Optional(input) is not { } given) return Zeros(directions, hidden);
            given = at.Graph.Unled(at.Proto, given);
            at.Require(given.Rank == 3, "a start of 3 axes", string.Join(" x ", given.Shape));
            // One for each example; or made for the batch of the export, all alike.
            if (given.Shape[first ? 0 : 1] > 1) given = at.Slice(given, first ? 0 : 1, example, 1);
            at.Require(given.Count == directions * hidden, $"a start of {directions} x 1 x {hidden}", string.Join(" x ", given.Shape));
            return at.Reshape(given, directions, hidden);
        }

        var b = at.Optional(3) is { } biases ? at.Graph.Unled(at.Proto, biases) : Zeros(directions, 2 * gates * hidden);
        GraphValue[] inputs = [at.Reshape(x, steps, x.Shape[2]), w, r, b, Start(5)];
        return cells ? [.. inputs, Start(6)] : inputs;
    }

    private static GraphValue Run(GraphNode at, RecurrentCell cell, GraphValue[] inputs) =>
        at.Emit(new Recurrence(cell, at.Text("direction", "forward") == "reverse"), lead: false, inputs);

    // [steps, directions, hidden] with the batch where the graph has it.
    private static GraphValue Sequence(GraphNode at, GraphValue hidden, bool batchFirst)
    {
        var (steps, directions, units) = (hidden.Shape[0], hidden.Shape[1], hidden.Shape[2]);
        return batchFirst ? at.Reshape(hidden, 1, steps, directions, units) : at.Reshape(hidden, steps, directions, 1, units);
    }

    // The last state of each direction: at the last step, or the first where the sequence is read backwards.
    private static GraphValue Last(GraphNode at, GraphValue hidden, bool batchFirst)
    {
        var (steps, directions, units) = (hidden.Shape[0], hidden.Shape[1], hidden.Shape[2]);
        var reverse = at.Text("direction", "forward") == "reverse";
        var parts = Enumerable.Range(0, (int)directions).Select(d =>
            at.Reshape(at.Slice(at.Slice(hidden, 0, reverse || d == 1 ? 0 : steps - 1, 1), 1, d, 1), 1, units)).ToArray();
        var last = parts.Length == 1 ? parts[0] : at.Emit(new Concatenation(), lead: false, parts);
        return batchFirst ? at.Reshape(last, 1, directions, units) : at.Reshape(last, directions, 1, units);
    }
}
