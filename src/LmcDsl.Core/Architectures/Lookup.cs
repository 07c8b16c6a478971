using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// Entries of a table's axis by places that are computed, such as tokens' embeddings: inputs are the table and the places. The table's
/// axis is fixed; what the table has along its others keeps its labels.
/// </summary>
public sealed class Lookup(int axis = 0) : Layer
{
    /// <summary>The table's axis, from 0 on without the batch.</summary>
    public int Axis { get; } = axis;

    /// <inheritdoc/>
    public override int Arity => 2;

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        var (table, places) = (inputs[0].Axes, inputs[1].Axes);
        Guard.Require(Axis >= 0 && Axis < table.Length, $"lookup layer: expected one of {table.Length} axes, found {Axis}");
        wiring.Fix(table[Axis]);
        return new Signal([.. table.Take(Axis), .. places, .. table.Skip(Axis + 1)]);
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode)
    {
        var (table, places) = (inputs[0], inputs[1].to(ScalarType.Int64));
        var most = table.shape[Axis + 1];
        places = where(places < 0, places + most, places);
        // A place beyond the table, as of random numbers in the place of tokens, is its last.
        places = places.clamp(0, most - 1);
        if (places.shape[0] == 1) return Taken(table, places[0], Axis + 1);
        if (table.shape[0] == 1)
        {
            var all = Taken(table[0], places, Axis); // [before..., batch, places..., after...]
            return all.movedim([Axis], [0]);
        }

        return stack([.. Enumerable.Range(0, (int)places.shape[0]).Select(k => Taken(table[k], places[k], Axis))]);
    }

    private static Tensor Taken(Tensor table, Tensor places, int dimension) =>
        table.index_select(dimension, places.flatten())
            .reshape([.. table.shape.Take(dimension), .. places.shape, .. table.shape.Skip(dimension + 1)]);
}
