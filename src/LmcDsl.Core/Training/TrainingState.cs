using System.Collections.Immutable;
using LmcDsl.Core.Architectures;
using static TorchSharp.torch;

namespace LmcDsl.Core.Training;

/// <summary>
/// Where a training stands after some epochs: all that is needed to go on to the same bytes, since every random choice
/// follows from the seed and the epoch.
/// </summary>
/// <param name="Parameters">The model so far.</param>
/// <param name="First">The optimiser's first moment (SGD: momentum), float32 <c>[LearnedCount]</c>.</param>
/// <param name="Second">The optimiser's second moment (Adam only; else zero), float32 <c>[LearnedCount]</c>.</param>
/// <param name="Epoch">Epochs finished.</param>
public sealed record TrainingState(ParameterSet Parameters, Tensor First, Tensor Second, int Epoch) : IDisposable
{
    /// <summary>What the epochs came to, as far as it is known: one for each where the whole training kept them.</summary>
    public ImmutableArray<EpochScore> Curve { get; init; } = [];

    /// <summary>The state before the first epoch: parameters drawn from the seed, moments zero.</summary>
    /// <param name="network">The network.</param>
    /// <param name="seed">The seed.</param>
    /// <param name="device">Where to train.</param>
    /// <returns>The state.</returns>
    public static TrainingState Start(Network network, long seed, Device device)
    {
        using var scope = NewDisposeScope();
        using var drawn = ParameterSet.Initialize(network, seed);
        return new TrainingState(
            drawn.To(device),
            zeros(network.LearnedCount, device: device).DetachFromDisposeScope(),
            zeros(network.LearnedCount, device: device).DetachFromDisposeScope(),
            Epoch: 0);
    }

    /// <summary>Frees the tensors.</summary>
    public void Dispose()
    {
        Parameters.Dispose();
        First.Dispose();
        Second.Dispose();
    }
}
