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
        var (inputs, layout) = Inputs(at, 4, cells: true);
        var hidden = Run(at, RecurrentCell.Lstm, inputs);
        var cells = at.Gives(2) ? Run(at, RecurrentCell.LstmCells, inputs) : hidden;
        return [Sequence(at, hidden, layout), Last(at, hidden, layout), Last(at, cells, layout)];
    }

    private static GraphValue[] Gru(GraphNode at)
    {
        RequireActivations(at, "Sigmoid", "Tanh");
        var (inputs, layout) = Inputs(at, 3, cells: false);
        var hidden = Run(at, at.Int("linear_before_reset", 0) == 1 ? RecurrentCell.GruResetAfter : RecurrentCell.Gru, inputs);
        return [Sequence(at, hidden, layout), Last(at, hidden, layout)];
    }

    private static GraphValue[] Plain(GraphNode at)
    {
        var relu = at.Proto.Attributes.TryGetValue("activations", out var given) && given.Texts.All(text => text == "Relu") && given.Texts.Count > 0;
        if (!relu) RequireActivations(at, "Tanh");
        var (inputs, layout) = Inputs(at, 1, cells: false);
        var hidden = Run(at, relu ? RecurrentCell.Relu : RecurrentCell.Tanh, inputs);
        return [Sequence(at, hidden, layout), Last(at, hidden, layout)];
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
    private static (GraphValue[] Inputs, bool BatchFirst) Inputs(GraphNode at, int gates, bool cells)
    {
        GraphValue x = at.Graph.Unled(at.Proto, at.In(0)), w = at.Graph.Unled(at.Proto, at.In(1)), r = at.Graph.Unled(at.Proto, at.In(2));
        var first = at.Int("layout", 0) == 1;
        at.Require(x.Rank == 3 && w.Rank == 3 && r.Rank == 3, "a sequence [steps, batch, features] and weights of 3 axes", string.Join(" x ", x.Shape));
        var (steps, batch) = first ? (x.Shape[1], x.Shape[0]) : (x.Shape[0], x.Shape[1]);
        at.Require(batch == 1, "one example", $"a batch of {batch} beside the steps; export with a batch of one example");
        at.Require(at.Optional(4) is not { } lengths || (at.Graph.Whole(lengths) is { } told && told.All(length => length == steps)), "sequences of one length", "lengths");
        var (directions, hidden) = (w.Shape[0], r.Shape[2]);
        GraphValue Zeros(params long[] shape) => at.Graph.Constant("zeros", zeros(shape));
        GraphValue Start(int input)
        {
            if (at.Optional(input) is not { } given) return Zeros(directions, hidden);
            given = at.Graph.Unled(at.Proto, given);
            // A start that was made for the batch of the export, all of it alike.
            var axis = first ? 0 : 1;
            if (given is { Rank: 3, Constant: { } constant } && given.Shape[axis] == at.Graph.Batch && at.Graph.Batch > 1)
                given = at.Graph.Constant(given.Name, constant.narrow(axis, 0, 1));
            at.Require(given.Rank == 3 && given.Count == directions * hidden, $"a start of {directions} x 1 x {hidden}", string.Join(" x ", given.Shape));
            return at.Reshape(given, directions, hidden);
        }

        var b = at.Optional(3) is { } biases ? at.Graph.Unled(at.Proto, biases) : Zeros(directions, 2 * gates * hidden);
        GraphValue[] inputs = [at.Reshape(x, steps, x.Shape[2]), w, r, b, Start(5)];
        return (cells ? [.. inputs, Start(6)] : inputs, first);
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
