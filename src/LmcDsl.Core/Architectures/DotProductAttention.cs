using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// Scaled dot-product attention (Vaswani et al., 1706.03762, section 3.2) of queries, keys and values that dense layers give:
/// <c>softmax(q k' / sqrt(d)) v</c> in each head, heads after one another. Has no parameters. Where there are fewer heads of keys and
/// values, each serves as many heads of queries (grouped queries, 2305.13245). With rotary positions (2104.09864) the units j and j + d/2 of
/// queries and keys are turned by the position's angle.
/// </summary>
/// <remarks>
/// Heads are permuted, heads of queries within those of keys and values. Within a head queries and keys may be transformed by any invertible
/// matrix (with rotary positions, by one turn and scale for each pair), and so may values and what reads the output.
/// </remarks>
public sealed class DotProductAttention(
    int heads, int keyHeads = 0, bool causal = false, bool rotary = false, double rotaryBase = 10_000, IReadOnlyList<double>? rotaryRates = null,
    double rotaryGain = 1) : Layer
{
    /// <summary>Heads of queries.</summary>
    public int Heads { get; } = heads;

    /// <summary>Heads of keys and values, which divide those of queries; 0 for as many.</summary>
    public int KeyHeads { get; } = keyHeads;

    /// <summary>Whether a position sees itself and those before only.</summary>
    public bool Causal { get; } = causal;

    /// <summary>Whether queries and keys are turned by their positions.</summary>
    public bool Rotary { get; } = rotary;

    /// <summary>Pair j of a head's d/2 pairs turns by <c>base^(-2j/d)</c> a position.</summary>
    public double RotaryBase { get; } = rotaryBase;

    /// <summary>What pairs turn by a position, one for each, where that is not by the base (positions scaled for longer texts).</summary>
    public IReadOnlyList<double>? RotaryRates { get; } = rotaryRates;

    /// <summary>What turned queries and keys are multiplied by (attention sharper for longer texts).</summary>
    public double RotaryGain { get; } = rotaryGain;

    private int Groups => KeyHeads == 0 ? Heads : KeyHeads;

    /// <inheritdoc/>
    public override string Title => "attention";

    /// <inheritdoc/>
    public override int Arity => 3;

    /// <inheritdoc/>
    public override SymmetryClass Commutes => SymmetryClass.Invertible;

    /// <inheritdoc/>
    public override bool MultipliesInputs => true;

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        foreach (var input in inputs) input.RequireSequence("attention");
        var (queries, keys, values) = (inputs[0].Axes, inputs[1].Axes, inputs[2].Axes);
        Guard.Require(
            Heads >= 1 && KeyHeads >= 0 && Heads % Math.Max(1, Groups) == 0,
            $"attention layer: expected a number of key heads that divides {Heads} heads, found {KeyHeads}");
        Guard.Require(
            queries[1].Size % Heads == 0, $"attention layer: expected a number of heads that divides {queries[1].Size} units of queries, found {Heads}");
        var size = queries[1].Size / Heads;
        Guard.Require(
            keys[1].Size == Groups * size,
            $"attention layer: expected keys of {Groups} heads of {size} units, found {keys[1].Size} units");
        Guard.Require(
            values[1].Size % Groups == 0, $"attention layer: expected a number of key heads that divides {values[1].Size} units of values, found {Groups}");
        Guard.Require(
            keys[0].Size == values[0].Size && (!(Causal || Rotary) || keys[0].Size == queries[0].Size),
            $"attention layer: expected as many positions of keys as of values{(Causal || Rotary ? " and queries" : "")}, found {queries[0].Size}, {keys[0].Size} and {values[0].Size}");
        Guard.Require(!Rotary || size % 2 == 0, $"attention layer: expected heads of an even size for rotary positions, found {size}");
        Guard.Require(
            RotaryRates is null || Rotary && RotaryRates.Count == size / 2,
            $"attention layer: expected rotary rates for {(Rotary ? $"the {size / 2} pairs of a head" : "rotary positions alone")}, found {RotaryRates?.Count}");
        foreach (var axis in new[] { queries[0], keys[0], values[0] }) wiring.Fix(axis);
        var (groups, within) = (Label(wiring, Groups), Label(wiring, Heads / Groups));
        wiring.Restrict(groups, SymmetryClass.Permutation);
        wiring.Restrict(within, SymmetryClass.Permutation);
        var (inner, carried) = (Label(wiring, size), Label(wiring, values[1].Size / Groups));
        if (Rotary) wiring.Restrict(inner, SymmetryClass.Pairs);
        var all = wiring.Product(groups, within);
        wiring.Unite(queries[1], wiring.Product(all, inner));
        wiring.Unite(keys[1], wiring.Product(groups, wiring.Dual(inner)));
        wiring.Unite(values[1], wiring.Product(groups, carried));
        wiring.Through(all, queries[0], keys[0]);
        return Signal.Of(queries[0], wiring.Product(all, carried));
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode)
    {
        var (q, k, v) = (ByHead(inputs[0], Heads), ByHead(inputs[1], Groups), ByHead(inputs[2], Groups));
        if (Rotary) (q, k) = Turned(q, k);
        if (Groups < Heads) (k, v) = (k.repeat_interleave(Heads / Groups, 1), v.repeat_interleave(Heads / Groups, 1));
        return nn.functional.scaled_dot_product_attention(q, k, v, is_casual: Causal).transpose(1, 2).flatten(2);
    }

    // A factor of one unit is none: it would have a label that nothing moves.
    private static Axis Label(Wiring wiring, int units) => units == 1 ? wiring.Fixed(1) : wiring.Fresh(units);

    // [batch, heads, positions, units of a head].
    private static Tensor ByHead(Tensor input, int heads) =>
        input.view(input.shape[0], input.shape[1], heads, input.shape[2] / heads).transpose(1, 2);

    private (Tensor Queries, Tensor Keys) Turned(Tensor queries, Tensor keys)
    {
        var (positions, size) = (queries.shape[2], queries.shape[3]);
        var half = size / 2;
        var rates = RotaryRates is { } each
            ? tensor(each.ToArray())
            : arange(half, dtype: ScalarType.Float64).mul(-2.0 / size * Math.Log(RotaryBase)).exp();
        var angles = arange(positions, dtype: ScalarType.Float64).unsqueeze(1) * rates;
        var (cosine, sine) = (Part(angles.cos()), Part(angles.sin()));
        return (Turn(queries), Turn(keys));

        Tensor Part(Tensor x) => (RotaryGain == 1 ? x : x * RotaryGain).to(queries.dtype, queries.device);

        Tensor Turn(Tensor x)
        {
            var (left, right) = (x.narrow(3, 0, half), x.narrow(3, half, half));
            return cat([left * cosine - right * sine, right * cosine + left * sine], 3);
        }
    }
}
