using LmcDsl.Core.Architectures;
using static TorchSharp.torch;

namespace LmcDsl.Core.Importing;

/// <summary>Products of matrices: dense layers where one side is a layer's weight, else products of two signals.</summary>
internal static class ProductRules
{
    public static Dictionary<string, GraphRule> All { get; } = new()
    {
        ["MatMul"] = MatMul,
        ["Gemm"] = Gemm,
        ["Einsum"] = Einstein,
    };

    /// <summary>x W + b, written as two nodes: the bias of the layer that was written last.</summary>
    public static GraphValue? AddBias(GraphNode at, int product)
    {
        GraphValue value = at.In(product), bias = at.In(1 - product);
        if (value.From is not { Layer: Dense { Bias: false } dense } || value.Node is not { } name || !IsOwn(at, bias, 1 - product)) return null;
        if (at.Graph.Readers.GetValueOrDefault(at.Proto.Inputs[product]) != 1 || !bias.Shape.SequenceEqual([dense.Units])) return null;
        if (!at.Graph.Stored.ContainsKey($"{name}.weight") || !LayerNames.Belongs(bias, name, "bias")) return null;
        var whole = new Dense(dense.Units);
        at.Graph.Replace(value, whole, "bias", bias.Parameter!);
        return value with { From = (whole, value.From!.Value.Inputs) };
    }

    /// <summary>The product of two values as matrices.</summary>
    public static GraphValue Product(GraphNode at, GraphValue left, GraphValue right)
    {
        // A vector is a matrix of one row, or of one column.
        var (row, column) = (left.Rank == 1, right.Rank == 1);
        if (row) left = at.Reshape(at.Graph.Unled(at.Proto, left), 1, left.Shape[0]);
        if (column) right = at.Reshape(at.Graph.Unled(at.Proto, right), right.Shape[0], 1);
        at.Require(left.Rank >= 2 && right.Rank >= 2 && left.Shape[^1] == right.Shape[^2], "matrices that fit", $"{string.Join(" x ", left.Shape)} and {string.Join(" x ", right.Shape)}");
        // The batch is an axis before the matrices, or none.
        var rank = Math.Max(left.Rank, right.Rank);
        GraphValue[] sides = rank > 2 ? at.Graph.Align(at.Proto, left, right) : [at.Graph.Unled(at.Proto, left), at.Graph.Unled(at.Proto, right)];
        var lead = rank > 2 && GraphBuilder.IsLed(sides);
        var result = at.Emit(new MatrixProduct(), lead, sides);
        if (!row && !column) return result;
        long[] shape = [.. result.Shape.SkipLast(2), .. row ? [] : new[] { result.Shape[^2] }, .. column ? [] : new[] { result.Shape[^1] }];
        return at.Reshape(at.Graph.Unled(at.Proto, result), shape);
    }

    private static GraphValue[] MatMul(GraphNode at)
    {
        GraphValue left = at.In(0), right = at.In(1);
        var rows = left is { IsSignal: true, Rank: >= 2 };
        // The weight as the layer has it, turned round for the product.
        if (rows && right.From is { Layer: Transposition { Order: [1, 0] }, Inputs: [{ Parameter: { } kept } weight] }
            && at.Graph.Readers.GetValueOrDefault(weight.Name) == 1 && at.Graph.Readers.GetValueOrDefault(at.Proto.Inputs[1]) == 1
            && LayerNames.Of(at, weight, "weight") is { } layer)
            return [at.Graph.Emit(layer, new Dense((int)weight.Shape[0], bias: false), left, ("weight", kept, false))];
        if (rows && right is { Parameter: { } turned, Rank: 2 } && IsOwn(at, right, 1) && LayerNames.IsLost(right.Name))
        {
            // The bias that follows kept its name.
            var bias = BiasAfter(at);
            if (bias is not null && !bias.EndsWith(".bias", StringComparison.Ordinal))
                return [Product(at, left, at.Transpose(at.Graph.Turned($"{bias[..^4]}weight", right), 1, 0))];
            var name = bias?[..^5] ?? LayerNames.Of(at, right, "weight")!;
            return [at.Graph.Emit(name, new Dense((int)right.Shape[1], bias: false), left, ("weight", turned, true))];
        }

        return [Product(at, left, right)];
    }

    private static string? BiasAfter(GraphNode at)
    {
        if (!at.Graph.Reader.TryGetValue(at.Proto.Outputs[0], out var next) || next.Operator != "Add") return null;
        var other = next.Inputs.FirstOrDefault(input => input != at.Proto.Outputs[0]);
        return other is not null && at.Graph.Tensors.ContainsKey(other) && other.EndsWith("bias", StringComparison.Ordinal) ? other : null;
    }

    private static GraphValue[] Gemm(GraphNode at)
    {
        GraphValue left = at.In(0), right = at.In(1);
        var straight = at.Int("transB", 0) == 1;
        var (alpha, beta) = (at.Float("alpha", 1), at.Float("beta", 1));
        var plain = alpha == 1 && beta == 1 && at.Int("transA", 0) == 0 && left is { IsSignal: true, Rank: 2 };
        var lost = right.Parameter is not null && LayerNames.IsLost(right.Name);
        if (plain && right is { Parameter: { } weight, Rank: 2 } && (straight || lost) && IsOwn(at, right, 1) && LayerNames.Of(at, right, "weight") is { } layer)
        {
            var bias = at.Optional(2);
            var units = right.Shape[straight ? 0 : 1];
            if (bias is null) return [at.Graph.Emit(layer, new Dense((int)units, bias: false), left, ("weight", weight, !straight))];
            if (lost && bias.Name.EndsWith(".bias", StringComparison.Ordinal)) layer = bias.Name[..^5];
            if (IsOwn(at, bias, 2) && LayerNames.Belongs(bias, layer, "bias") && bias.Shape.SequenceEqual([units]))
                return [at.Graph.Emit(layer, new Dense((int)units), left, ("weight", weight, !straight), ("bias", bias.Parameter!, false))];
        }

        // The weight as the layer has it, turned round for the product.
        if (plain && !straight && right.From is { Layer: Transposition { Order: [1, 0] }, Inputs: [{ Parameter: { } kept } own] }
            && at.Graph.Readers.GetValueOrDefault(own.Name) == 1 && at.Graph.Readers.GetValueOrDefault(at.Proto.Inputs[1]) == 1
            && LayerNames.Of(at, own, "weight") is { } named)
        {
            if (at.Optional(2) is not { } shift) return [at.Graph.Emit(named, new Dense((int)own.Shape[0], bias: false), left, ("weight", kept, false))];
            if (IsOwn(at, shift, 2) && LayerNames.Belongs(shift, named, "bias") && shift.Shape.SequenceEqual([own.Shape[0]]))
                return [at.Graph.Emit(named, new Dense((int)own.Shape[0]), left, ("weight", kept, false), ("bias", shift.Parameter!, false))];
        }

        if (at.Int("transA", 0) == 1) left = at.Transpose(at.Graph.Unled(at.Proto, left), 1, 0);
        if (straight) right = at.Transpose(at.Graph.Unled(at.Proto, right), 1, 0);
        var result = Product(at, left, right);
        if (alpha != 1) result = ElementwiseRules.Pair(at, ArithmeticFunction.Multiply, result, at.Graph.Number(alpha));
        if (at.Optional(2) is not { } added) return [result];
        if (beta != 1) added = ElementwiseRules.Pair(at, ArithmeticFunction.Multiply, added, at.Graph.Number(beta));
        return [ElementwiseRules.Pair(at, ArithmeticFunction.Add, result, added)];
    }

    // Whether a tensor of the file is read here and nowhere else.
    private static bool IsOwn(GraphNode at, GraphValue value, int input) =>
        value.Parameter is not null && at.Graph.Readers.GetValueOrDefault(at.Proto.Inputs[input]) == 1;

    private static GraphValue[] Einstein(GraphNode at)
    {
        var text = at.Text("equation", "").Replace(" ", "");
        at.Require(!text.Contains('.'), "an equation without dots", text);
        var parts = text.Split("->");
        var terms = parts[0].Split(',');
        // Letters that come once, in the order of the alphabet, where no output is said.
        var output = parts.Length == 2 ? parts[1] : string.Concat(parts[0].Where(letter => letter != ',' && parts[0].Count(c => c == letter) == 1).Order());
        var letters = terms.SelectMany(term => term).Distinct().ToArray();
        at.Require(letters.Length <= 26 && terms.Length == at.Inputs.Length && terms.All(term => term.Distinct().Count() == term.Length), "different letters for each axis", text);
        string Lower(string term) => string.Concat(term.Select(letter => (char)('a' + Array.IndexOf(letters, letter))));
        GraphValue[] values = [.. Enumerable.Range(0, terms.Length).Select(k => at.Graph.Unled(at.Proto, at.In(k)))];
        return [at.Emit(new Einsum($"{string.Join(',', terms.Select(Lower))}->{Lower(output)}"), lead: false, values)];
    }
}
