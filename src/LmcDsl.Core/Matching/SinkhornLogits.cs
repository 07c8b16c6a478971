using LmcDsl.Core.Runtime;
using LmcDsl.Core.Solvers;
using LmcDsl.Core.Training;
using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>
/// One group's logits in <see cref="SinkhornMatrices"/>, and AdamW's state for them (1711.05101). Where the group has an order in each of
/// several copies there are logits for each pair of copies: how the units of the one would lie in the place of the other's.
/// </summary>
internal sealed class SinkhornLogits : IDisposable
{
    private static readonly AdamW Optimizer = new();

    private readonly SinkhornMatchingOptions options;
    private readonly int copies;
    private readonly int units; // in each copy
    private readonly Sinkhorn operation;
    private readonly Tensor logits; // [units, units], with copies [pairs, units, units]
    private readonly Tensor first;
    private readonly Tensor second;
    private Tensor? scaled;
    private Tensor? around;

    public SinkhornLogits(int units, int copies, SinkhornMatchingOptions options, int group, Device device)
    {
        this.options = options;
        (this.copies, this.units) = (copies, units / copies);
        operation = new Sinkhorn(this.units, options.Tau, options.Iterations, device, copies * copies);
        using var scope = NewDisposeScope();
        using var generator = Seeds.Generator(options.Seed, "noise", group);
        long[] shape = copies == 1 ? [units, units] : [copies * copies, this.units, this.units];
        logits = randn(shape, generator: generator).mul_(options.Noise).add_(eye(this.units)).to(device).DetachFromDisposeScope();
        first = zeros_like(logits).DetachFromDisposeScope();
        second = zeros_like(logits).DetachFromDisposeScope();
    }

    /// <summary>The doubly stochastic matrix of the logits.</summary>
    /// <param name="outer">The matrix of the copies, <c>[copies, copies]</c>; nothing where there is one order.</param>
    /// <param name="isClimbed">Whether the next step is from this matrix.</param>
    /// <returns>The matrix over all units of all copies, <c>[units, units]</c>, in the caller's dispose scope.</returns>
    public Tensor Matrix(Tensor? outer, bool isClimbed)
    {
        var now = operation.Scale(logits);
        if (isClimbed) (scaled, around) = (now, outer);
        return outer is null ? now : (ByPair(now) * outer.unsqueeze(-1).unsqueeze(-1)).transpose(1, 2).reshape([copies * units, copies * units]);
    }

    /// <summary>How the units lie where one copy takes another's place, as of the last matrix, <c>[copies * copies, units, units]</c>.</summary>
    public Tensor? Pairs => around is null ? null : scaled;

    /// <summary>One step up the objective.</summary>
    /// <param name="gradient">The objective's gradient with respect to the matrix that was last given.</param>
    /// <param name="ofPairs">Its gradient with respect to <see cref="Pairs"/>, besides; null where they count in the matrix alone.</param>
    /// <param name="step">Counted from 1.</param>
    /// <returns>The gradient with respect to the matrix of the copies, in the caller's dispose scope; null where there is one order.</returns>
    public Tensor? Climb(Tensor gradient, Tensor? ofPairs, int step)
    {
        using var scope = NewDisposeScope();
        var (own, outer) = (gradient, (Tensor?)null);
        if (around is not null)
        {
            var byPair = gradient.reshape([copies, units, copies, units]).transpose(1, 2);
            outer = (byPair * ByPair(scaled!)).sum([2, 3]).MoveToOuterDisposeScope();
            own = (byPair * around.unsqueeze(-1).unsqueeze(-1)).reshape([copies * copies, units, units]);
            if (ofPairs is not null) own = own + ofPairs;
        }

        // Adam does not see scale, but for its epsilon: gradients of P, which is near 1 / units, would drown in it.
        var down = operation.Gradient(scaled!, own).mul_(-copies * units);
        FusedStep.ByMoments(logits, first, second, down, Optimizer, options.WeightDecay, options.LearningRate, step);
        return outer;
    }

    public void Dispose()
    {
        operation.Dispose();
        logits.Dispose();
        first.Dispose();
        second.Dispose();
    }

    private Tensor ByPair(Tensor matrices) => matrices.reshape([copies, copies, units, units]);
}
