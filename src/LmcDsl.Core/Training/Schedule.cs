using System.Text.Json.Serialization;
using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Training;

/// <summary>How the learning rate moves over a training, as a share of its peak.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(Constant), "constant")]
[JsonDerivedType(typeof(LinearUpDown), "linearUpDown")]
[JsonDerivedType(typeof(Cosine), "cosine")]
public abstract record Schedule
{
    /// <summary>The share of the peak learning rate that a step takes.</summary>
    /// <param name="step">The step, 0 to steps - 1.</param>
    /// <param name="steps">All steps of the training.</param>
    /// <returns>0 to 1.</returns>
    public abstract double Share(long step, long steps);

    internal virtual void Validate()
    {
    }

    private protected static void RequireShare(string name, double value) =>
        Guard.Require(value is >= 0 and < 1, $"{name}: expected a share of the training, 0 or above and below 1, found {value}");
}

/// <summary>The peak at every step.</summary>
public sealed record Constant : Schedule
{
    /// <inheritdoc/>
    public override double Share(long step, long steps) => 1;
}

/// <summary>Rises linearly from 0 to the peak, then falls linearly to 0.</summary>
/// <param name="Rise">Share of the training that rises.</param>
public sealed record LinearUpDown(double Rise = 0.05) : Schedule
{
    /// <inheritdoc/>
    public override double Share(long step, long steps)
    {
        double at = step + 1, peak = Math.Max(1, Rise * steps);
        return at < peak ? at / peak : (steps + 1 - at) / (steps + 1 - peak);
    }

    internal override void Validate() => RequireShare("linear schedule", Rise);
}

/// <summary>Rises linearly from 0 to the peak, then falls along half a cosine to 0 (Loshchilov and Hutter, 1608.03983).</summary>
/// <param name="WarmUp">Share of the training that rises.</param>
public sealed record Cosine(double WarmUp = 0) : Schedule
{
    /// <inheritdoc/>
    public override double Share(long step, long steps)
    {
        var rise = WarmUp * steps;
        return step < rise ? (step + 1) / (rise + 1) : 0.5 * (1 + Math.Cos(Math.PI * (step - rise) / (steps - rise)));
    }

    internal override void Validate() => RequireShare("cosine schedule", WarmUp);
}
