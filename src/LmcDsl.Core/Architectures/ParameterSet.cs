using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// A network's parameters: one flat float32 buffer and a view into it for each parameter. Averages, interpolation and
/// distances are one operation on the buffer; the forward pass reads the views.
/// </summary>
public sealed class ParameterSet : IDisposable
{
    /// <summary>Takes a buffer.</summary>
    /// <param name="network">The network that the parameters are of.</param>
    /// <param name="flat">The buffer, float32 <c>[network.TotalCount]</c>; owned from now on.</param>
    /// <exception cref="LmcException">The buffer has another length or type.</exception>
    public ParameterSet(Network network, Tensor flat)
    {
        Guard.Shape($"parameters of '{network.Architecture.Name}'", flat, network.TotalCount);
        Guard.Require(flat.dtype == ScalarType.Float32, $"parameters: expected Float32, found {flat.dtype}");
        Network = network;
        Flat = flat.DetachFromDisposeScope();
        using var noGrad = no_grad();
        using var scope = NewDisposeScope(); // what lies between the buffer and a view holds the buffer as well
        Views = [.. network.Parameters.Select(p => Flat.narrow(0, p.Offset, p.Count).view(p.Shape).DetachFromDisposeScope())];
    }

    /// <summary>The network that the parameters are of.</summary>
    public Network Network { get; }

    /// <summary>All numbers: the learned ones first, then running statistics.</summary>
    public Tensor Flat { get; }

    /// <summary>One view for each of the network's parameters, in their order.</summary>
    public IReadOnlyList<Tensor> Views { get; }

    /// <summary>The learned part of <see cref="Flat"/>, <c>[LearnedCount]</c>; a view in the caller's dispose scope.</summary>
    /// <returns>The view.</returns>
    public Tensor Learned() => Flat.narrow(0, 0, Network.LearnedCount);

    /// <summary>Finds a parameter by its name.</summary>
    /// <param name="name">For example <c>fc1.weight</c>.</param>
    /// <exception cref="LmcException">No parameter has that name.</exception>
    public Tensor this[string name]
    {
        get
        {
            for (var k = 0; k < Views.Count; k++)
                if (Network.Parameters[k].Name == name) return Views[k];
            throw new LmcException(
                $"parameter '{name}': expected one of {Listing.Of(Network.Parameters.Select(p => p.Name))}");
        }
    }

    /// <summary>Draws parameters as PyTorch initialises them by default.</summary>
    /// <param name="network">The network.</param>
    /// <param name="seed">The seed; drawn on the CPU, so the same for every device.</param>
    /// <returns>The parameters, on the CPU.</returns>
    public static ParameterSet Initialize(Network network, long seed)
    {
        using var scope = NewDisposeScope();
        using var generator = Seeds.Generator(seed, "initialise");
        var set = Zeros(network);
        for (var k = 0; k < set.Views.Count; k++)
        {
            var spec = network.Parameters[k];
            switch (spec.Initializer)
            {
                case Initializer.Ones:
                    set.Views[k].fill_(1);
                    break;
                case Initializer.UniformFanIn:
                    var bound = 1 / Math.Sqrt(spec.FanIn);
                    set.Views[k].copy_(rand(spec.Shape, generator: generator).mul_(2 * bound).sub_(bound));
                    break;
                case Initializer.Small:
                    set.Views[k].copy_(randn(spec.Shape, generator: generator).mul_(0.02));
                    break;
                case Initializer.Sinusoid:
                    set.Views[k].copy_(SinusoidalPositions.Table(spec.Shape[0], spec.Shape[1]));
                    break;
            }
        }

        return set;
    }

    /// <summary>A copy with a buffer of its own.</summary>
    /// <returns>The copy, on the same device.</returns>
    public ParameterSet Clone() => new(Network, MemoryReuse.Apart(Network.TotalCount * sizeof(float), () => Flat.clone()));

    /// <summary>Parameters that are all 0, to be filled.</summary>
    /// <param name="network">The network.</param>
    /// <param name="device">Where they lie; on the CPU where none is given.</param>
    /// <returns>The parameters.</returns>
    internal static ParameterSet Zeros(Network network, Device? device = null) =>
        new(network, MemoryReuse.Apart(network.TotalCount * sizeof(float), () => zeros(network.TotalCount, device: device)));

    /// <summary>A copy on another device, or on the same.</summary>
    /// <param name="device">The device.</param>
    /// <returns>The copy.</returns>
    public ParameterSet To(Device device) => new(Network, Flat.to(device, copy: true));

    /// <summary>Requires two sets of parameters to be of the same architecture.</summary>
    /// <param name="left">One.</param>
    /// <param name="right">The other.</param>
    /// <exception cref="LmcException">They are of two architectures; the line names both.</exception>
    public static void RequireSameArchitecture(ParameterSet left, ParameterSet right)
    {
        if (ReferenceEquals(left.Network, right.Network)) return;
        string one = left.Network.Described, other = right.Network.Described;
        Guard.Require(
            one == other,
            $"expected two models of one architecture, found '{left.Network.Architecture.Name}' and '{right.Network.Architecture.Name}': {one} and {other}");
    }

    /// <summary>Frees the buffer.</summary>
    public void Dispose()
    {
        foreach (var view in Views) view.Dispose();
        Flat.Dispose();
    }
}
