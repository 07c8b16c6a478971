using System.Text.RegularExpressions;
using static TorchSharp.torch;

namespace LmcDsl.Core.Importing;

/// <summary>
/// The weights of recurrent layers as PyTorch has them (<c>weight_ih_l0</c>, <c>weight_hh_l0</c>, <c>bias_ih_l0</c>, <c>bias_hh_l0</c>, and
/// with <c>_reverse</c>), found again in those that an export has put together: gates in ONNX's order, directions and biases joined.
/// </summary>
internal static partial class RecurrentNames
{
    /// <summary>Writes a node's weights of the checkpoint's tensors.</summary>
    /// <param name="node">The node.</param>
    /// <param name="given">The numbers of a tensor of the graph; null for what is none.</param>
    /// <param name="known">The checkpoint's tensors.</param>
    /// <param name="module">The module in which the node stands; null where that is not said.</param>
    /// <param name="edit">Where nodes are written.</param>
    /// <returns>How many layers fit: 1 where they were written, 0 where none does, more where they cannot be told apart.</returns>
    public static int Write(OnnxNode node, Func<string, Tensor?> given, KnownTensors known, string? module, GraphEdit edit)
    {
        // Where ONNX's gates stand among PyTorch's: input, output, forget, cell; update, reset, new.
        var gates = node.Operator switch { "LSTM" => new[] { 0, 3, 1, 2 }, "GRU" => [1, 0, 2], _ => [0] };
        if (node.Inputs.Count < 3 || given(node.Inputs[1]) is not { } w || given(node.Inputs[2]) is not { } r || w.dim() != 3 || r.dim() != 3) return 0;
        var b = node.Inputs.Count > 3 && node.Inputs[3].Length > 0 ? given(node.Inputs[3]) : null;
        var fits = new List<(string Name, TensorMap[][] Maps)>();
        foreach (var start in known.All.Select(tensor => First().Match(tensor.Name)).Where(match => match.Success))
            if (Maps(start.Groups[1].Value, start.Groups[2].Value, gates, w, r, b, known) is { } maps) fits.Add((start.Value, maps));
        if (fits.Count > 1 && module is not null && fits.Where(fit => fit.Name.StartsWith($"{module}.weight", StringComparison.Ordinal)).ToList() is { Count: > 0 } within) fits = within;
        if (fits is not [var (_, only)]) return fits.Count;
        node.Inputs[1] = Join([.. only.Select(maps => Turned(maps[0].Write(edit), w.shape))]);
        node.Inputs[2] = Join([.. only.Select(maps => Turned(maps[1].Write(edit), r.shape))]);
        if (b is not null) node.Inputs[3] = Join([.. only.Select(maps => Turned(edit.Joined([maps[2].Write(edit), maps[3].Write(edit)], 0), b.shape))]);
        return 1;

        string Join(string[] directions) => edit.Joined(directions, 0);

        // One direction's, with the axis of directions in front.
        string Turned(string value, long[] shape) => edit.Reshaped(value, [1, .. shape[1..]]);
    }

    // For each direction the ways of weights and biases; null where they are not this layer's.
    private static TensorMap[][]? Maps(string module, string layer, int[] gates, Tensor w, Tensor r, Tensor? b, KnownTensors known)
    {
        using var scope = NewDisposeScope();
        var found = new List<TensorMap[]>();
        for (var direction = 0; direction < w.shape[0]; direction++)
        {
            var suffix = $"l{layer}{(direction == 1 ? "_reverse" : "")}";
            var size = w.shape[1] / gates.Length;
            var maps = new List<TensorMap>();
            foreach (var (kind, wanted) in new[] { ("weight_ih_", w[direction]), ("weight_hh_", r[direction]) })
                if (!Add(kind, wanted)) return null;
            var first = known.Find($"{module}bias_ih_{suffix}");
            if ((b is null) != (first is null)) return null;
            if (b is not null && !(Add("bias_ih_", b[direction].narrow(0, 0, w.shape[1])) && Add("bias_hh_", b[direction].narrow(0, w.shape[1], w.shape[1])))) return null;
            found.Add([.. maps]);

            bool Add(string kind, Tensor wanted)
            {
                if (known.Find($"{module}{kind}{suffix}") is not { } source || !source.Shape.AsSpan().SequenceEqual(wanted.shape)) return false;
                long[] places = [.. gates.SelectMany(gate => Enumerable.Range(0, (int)size).Select(unit => gate * size + unit))];
                long[]?[] all = [gates.Length == 1 ? null : places, .. source.Shape.Skip(1).Select(_ => (long[]?)null)];
                var map = new TensorMap(source, all, wanted.shape, [.. Enumerable.Range(0, wanted.shape.Length)], wanted.shape);
                maps.Add(map);
                return TensorMap.Same(map.Apply(source.Numbers), wanted);
            }
        }

        return [.. found];
    }

    [GeneratedRegex(@"^(.*?)weight_ih_l(\d+)$")]
    private static partial Regex First();
}
