using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// Adds sines and cosines of each position (Vaswani et al., 1706.03762, section 3.5). The table is stored with the model and never learned,
/// so that it moves with the units that it is added to.
/// </summary>
public sealed class SinusoidalPositions : Layer
{
    /// <inheritdoc/>
    public override string Title => "positions";

    /// <inheritdoc/>
    public override SymmetryClass Commutes => SymmetryClass.Invertible;

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        inputs[0].RequireSequence("positions");
        wiring.Parameter("table", ParameterRole.Constant, Initializer.Sinusoid, inputs[0].Axes[0].Size, [.. inputs[0].Axes]);
        return inputs[0];
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode) => inputs[0] + parameters[0];

    /// <summary>The table: entry (t, 2i) is sin(t / 10000^(2i/units)), entry (t, 2i + 1) the cosine of the same.</summary>
    /// <param name="positions">Number of positions.</param>
    /// <param name="units">Number of units.</param>
    /// <returns>float32 <c>[positions, units]</c>, in the caller's dispose scope.</returns>
    internal static Tensor Table(long positions, long units)
    {
        var values = new float[positions * units];
        for (var t = 0L; t < positions; t++)
            for (var j = 0L; j < units; j++)
            {
                var angle = t / Math.Pow(10_000, j / 2 * 2 / (double)units);
                values[t * units + j] = (float)(j % 2 == 0 ? Math.Sin(angle) : Math.Cos(angle));
            }

        return tensor(values).view(positions, units);
    }
}
