using LmcDsl.Core.Architectures;
using static TorchSharp.torch;

namespace LmcDsl.Core.Importing;

/// <summary>Attention and rotary positions as one operator each (opset 23), written as what they are made of.</summary>
internal static class AttentionRules
{
    public static Dictionary<string, GraphRule> All { get; } = new()
    {
        ["Attention"] = Attention,
        ["RotaryEmbedding"] = Rotary,
    };

    private static GraphValue[] Attention(GraphNode at)
    {
        GraphValue q = at.In(0), k = at.In(1), v = at.In(2);
        at.Require(!at.Gives(3) && at.Optional(6) is null && at.Has("softmax_precision") == false, "attention whose scores are not asked for, of whole sequences", "another");
        var flat = q.Rank == 3;
        long heads = at.Int("q_num_heads", 0), pairs = at.Int("kv_num_heads", 0);
        if (flat)
        {
            at.Require(k.Rank == 3 && v.Rank == 3 && heads >= 1 && pairs >= 1, "q_num_heads and kv_num_heads", $"{heads} and {pairs}");
            (q, k, v) = (Heads(at, q, heads), Heads(at, k, pairs), Heads(at, v, pairs));
        }

        at.Require(q.Rank == 4 && k.Rank == 4 && v.Rank == 4, "values of 3 or 4 axes", $"{q.Rank}");
        var past = 0L;
        if (at.Optional(4) is { } keys && at.Optional(5) is { } values)
        {
            past = keys.Shape[2];
            (k, v) = (Joined(at, keys, k), Joined(at, values, v));
        }

        var present = new[] { k, v };
        (heads, pairs) = (q.Shape[1], k.Shape[1]);
        at.Require(heads % pairs == 0, "heads that keys divide", $"{heads} and {pairs}");
        if (heads > pairs) (k, v) = (Repeated(at, k, heads / pairs), Repeated(at, v, heads / pairs));
        // Each side has the root of the scale, so that neither overflows.
        var scale = at.Graph.Number(Math.Sqrt(at.Has("scale") && at.Float("scale", 0) != 0 ? at.Float("scale", 0) : 1 / Math.Sqrt(q.Shape[3])));
        var left = ElementwiseRules.Pair(at, ArithmeticFunction.Multiply, q, scale);
        var right = ElementwiseRules.Pair(at, ArithmeticFunction.Multiply, at.Transpose(k, 0, 1, 3, 2), scale);
        var scores = ProductRules.Product(at, left, right);
        var softcap = at.Float("softcap", 0);
        if (softcap != 0)
        {
            at.Require(at.Optional(3) is null && at.Int("is_causal", 0) == 0, "a soft limit without a mask", "both");
            var limit = at.Graph.Number(softcap);
            var small = ElementwiseRules.Pair(at, ArithmeticFunction.Divide, scores, limit);
            scores = ElementwiseRules.Pair(at, ArithmeticFunction.Multiply, at.Emit(new Activation(ActivationFunction.Tanh), small.Lead, small), limit);
        }

        if (at.Int("is_causal", 0) == 1)
        {
            var (rows, columns) = (q.Shape[2], k.Shape[2]);
            var allowed = ones(rows, columns).tril(past);
            scores = Masked(at, scores, at.Graph.Constant("causal", allowed.to(ScalarType.Bool)));
        }

        if (at.Optional(3) is { } mask)
        {
            at.Require(mask.Shape.Length > 0 && (mask.Shape[^1] == k.Shape[2] || mask.Shape[^1] == 1), $"a mask of {k.Shape[2]} keys", string.Join(" x ", mask.Shape));
            scores = mask.Type == ScalarType.Bool ? Masked(at, scores, mask) : ElementwiseRules.Pair(at, ArithmeticFunction.Add, scores, mask);
        }

        var shares = ReductionRules.Along(at, scores, 3);
        // A query that may see nothing gets nothing.
        if (at.Optional(3) is { Type: ScalarType.Bool })
        {
            var none = at.Emit(new Elementary(ElementaryFunction.IsNaN), shares.Lead, shares) with { Type = ScalarType.Bool };
            var aligned = at.Graph.Align(at.Proto, none, at.Graph.Number(0), shares);
            shares = at.Emit(new Choice(), GraphBuilder.IsLed(aligned), aligned) with { Type = ScalarType.Float32 };
        }

        var result = ProductRules.Product(at, shares, v);
        if (flat) result = at.Reshape(at.Transpose(result, 0, 2, 1, 3), result.Shape[0], result.Shape[2], result.Shape[1] * result.Shape[3]);
        return [result, .. present];
    }

    private static GraphValue Masked(GraphNode at, GraphValue scores, GraphValue mask)
    {
        var aligned = at.Graph.Align(at.Proto, mask, scores, at.Graph.Constant("nothing", tensor(float.NegativeInfinity)));
        return at.Emit(new Choice(), GraphBuilder.IsLed(aligned), aligned) with { Type = ScalarType.Float32 };
    }

    // [batch, steps, heads * units] as [batch, heads, steps, units].
    private static GraphValue Heads(GraphNode at, GraphValue value, long heads)
    {
        at.Require(value.Shape[2] % heads == 0, $"{heads} heads that divide {value.Shape[2]}", "others");
        return at.Transpose(at.Reshape(value, value.Shape[0], value.Shape[1], heads, value.Shape[2] / heads), 0, 2, 1, 3);
    }

    private static GraphValue Joined(GraphNode at, GraphValue past, GraphValue now)
    {
        var aligned = at.Graph.Align(at.Proto, past, now);
        var lead = GraphBuilder.IsLed(aligned);
        return at.Emit(new Concatenation(lead ? 1 : 2), lead, aligned);
    }

    // Each key's and value's head for all queries that share it.
    private static GraphValue Repeated(GraphNode at, GraphValue value, long times)
    {
        var (batch, heads, steps, units) = (value.Shape[0], value.Shape[1], value.Shape[2], value.Shape[3]);
        var apart = at.Reshape(value, batch, heads, 1, steps, units);
        return at.Reshape(ShapeRules.Expanded(at, apart, [batch, heads, times, steps, units]), batch, heads * times, steps, units);
    }

    private static GraphValue[] Rotary(GraphNode at)
    {
        GraphValue x = at.In(0), cosines = at.In(1), sines = at.In(2);
        var flat = x.Rank == 3;
        var heads = at.Int("num_heads", 0);
        at.Require(x.Rank == 4 || (flat && heads >= 1 && x.Shape[2] % heads == 0), "heads of a value of 3 axes, or 4 axes", $"{x.Rank}");
        // [batch, steps, heads, units]
        var parted = flat ? at.Reshape(x, x.Shape[0], x.Shape[1], heads, x.Shape[2] / heads) : at.Transpose(x, 0, 2, 1, 3);
        var units = at.Int("rotary_embedding_dim", 0) is > 0 and var some ? some : parted.Shape[3];
        at.Require(units % 2 == 0 && units <= parted.Shape[3], "an even number of units", $"{units}");
        var half = units / 2;
        GraphValue Angles(GraphValue cache)
        {
            if (at.Optional(3) is { } places)
            {
                var whole = at.Graph.Whole(places);
                at.Require(whole is not null && cache.Rank == 2, "constant positions", "computed ones");
                cache = at.Reshape(at.Select(cache, 0, whole!, drop: false), [.. places.Shape, cache.Shape[1]]);
            }

            at.Require(cache.Rank == 3 && cache.Shape[2] == half, $"{half} angles", string.Join(" x ", cache.Shape));
            return at.Reshape(cache, cache.Shape[0], cache.Shape[1], 1, half);
        }

        GraphValue cos = Angles(cosines), sin = Angles(sines);
        var turned = at.Slice(parted, 3, 0, units);
        var interleaved = at.Int("interleaved", 0) == 1;
        long[] pairs = [.. turned.Shape[..3], half, 2];
        GraphValue Side(int side) => interleaved
            ? at.Select(at.Reshape(turned, pairs), 4, [side], drop: true)
            : at.Slice(turned, 3, side * half, half);
        GraphValue Times(GraphValue left, GraphValue right) => ElementwiseRules.Pair(at, ArithmeticFunction.Multiply, left, right);
        var real = ElementwiseRules.Pair(at, ArithmeticFunction.Subtract, Times(Side(0), cos), Times(Side(1), sin));
        var imaginary = ElementwiseRules.Pair(at, ArithmeticFunction.Add, Times(Side(0), sin), Times(Side(1), cos));
        GraphValue[] sides = interleaved
            ? [at.Reshape(real, [.. turned.Shape[..3], half, 1]), at.Reshape(imaginary, [.. turned.Shape[..3], half, 1])]
            : [real, imaginary];
        var whole = at.Reshape(Along(at, sides, interleaved ? 4 : 3), turned.Shape);
        if (units < parted.Shape[3]) whole = Along(at, [whole, at.Slice(parted, 3, units, parted.Shape[3] - units)], 3);
        return [flat ? at.Reshape(whole, x.Shape) : at.Transpose(whole, 0, 2, 1, 3)];
    }

    private static GraphValue Along(GraphNode at, GraphValue[] values, int axis)
    {
        var aligned = at.Graph.Align(at.Proto, values);
        var lead = GraphBuilder.IsLed(aligned);
        return at.Emit(new Concatenation(lead ? axis - 1 : axis), lead, aligned);
    }
}
