using System.Runtime.InteropServices;
using LmcDsl.Core.Permutations;
using LmcDsl.Core.Runtime;
using LmcDsl.Core.Solvers;
using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>One group's logits in <see cref="SinkhornMatching"/>, and AdamW's state for them (1711.05101).</summary>
internal sealed class SinkhornLogits : IDisposable
{
    private const double FirstDecay = 0.9;
    private const double SecondDecay = 0.999;
    private const double Epsilon = 1e-8;

    private readonly SinkhornMatchingOptions options;
    private readonly Sinkhorn operation;
    private readonly Tensor logits;
    private readonly Tensor first;
    private readonly Tensor second;
    private Tensor? matrix;

    public SinkhornLogits(int units, SinkhornMatchingOptions options, int group, Device device)
    {
        this.options = options;
        operation = new Sinkhorn(units, options.Tau, options.Iterations, device);
        using var scope = NewDisposeScope();
        using var generator = Seeds.Generator(options.Seed, "noise", group);
        logits = randn(units, units, generator: generator).mul_(options.Noise).add_(eye(units)).to(device).DetachFromDisposeScope();
        first = zeros_like(logits).DetachFromDisposeScope();
        second = zeros_like(logits).DetachFromDisposeScope();
    }

    /// <summary>The doubly stochastic matrix of the logits; in the caller's dispose scope.</summary>
    /// <returns>The matrix, <c>[units, units]</c>.</returns>
    public Tensor Matrix() => matrix = operation.Scale(logits);

    /// <summary>One step up the objective.</summary>
    /// <param name="gradient">The objective's gradient with respect to the matrix that was last given.</param>
    /// <param name="step">Counted from 1.</param>
    public void Climb(Tensor gradient, int step)
    {
        using var scope = NewDisposeScope();
        // Adam does not see scale, but for its epsilon: gradients of P, which is near 1 / units, would drown in it.
        var down = operation.Gradient(matrix!, gradient).neg_().mul_(matrix!.shape[0]);
        first.mul_(FirstDecay).add_(down, alpha: 1 - FirstDecay);
        second.mul_(SecondDecay).addcmul_(down, down, 1 - SecondDecay);
        var scale = Math.Sqrt(1 - Math.Pow(SecondDecay, step)) / (1 - Math.Pow(FirstDecay, step));
        logits.mul_(1 - options.LearningRate * options.WeightDecay);
        logits.addcdiv_(first, second.sqrt().add_(Epsilon), -options.LearningRate * scale);
    }

    /// <summary>The permutation matrix nearest to the doubly stochastic one.</summary>
    /// <returns>The permutation.</returns>
    public Permutation Round()
    {
        using var scope = NewDisposeScope();
        var cost = operation.Scale(logits).neg_().cpu().contiguous();
        return new Permutation(LinearAssignment.Minimize(MemoryMarshal.Cast<byte, float>(cost.bytes), (int)cost.shape[0]).Columns);
    }

    public void Dispose()
    {
        operation.Dispose();
        logits.Dispose();
        first.Dispose();
        second.Dispose();
    }
}
