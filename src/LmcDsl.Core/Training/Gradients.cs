using LmcDsl.Core.Architectures;
using LmcDsl.Core.Measures;
using static TorchSharp.torch;

namespace LmcDsl.Core.Training;

/// <summary>The loss's gradient with respect to a model's learned parameters.</summary>
internal static class Gradients
{
    /// <summary>
    /// Views of the flat buffer that gradients are asked for, in the order of the network's parameters; statistics among them
    /// as they are. Learned parameters lie in the buffer in this order.
    /// </summary>
    /// <param name="parameters">The model.</param>
    /// <returns>The views; the caller disposes them.</returns>
    public static Tensor[] Leaves(ParameterSet parameters) =>
    [
        .. parameters.Network.Parameters.Zip(parameters.Views).Select(p =>
            p.Second.detach().requires_grad_(p.First.Learned).DetachFromDisposeScope()),
    ];

    /// <summary>Mean cross-entropy on a batch, in training mode, and its gradient.</summary>
    /// <param name="network">The network.</param>
    /// <param name="leaves">What <see cref="Leaves"/> gave.</param>
    /// <param name="images">The batch.</param>
    /// <param name="labels">Its labels.</param>
    /// <param name="seen">Given the outputs, without their graph.</param>
    /// <param name="precision">In which numbers linear layers multiply.</param>
    /// <returns>The loss, and one gradient for each learned parameter, in the caller's dispose scope; none where the loss is not finite.</returns>
    public static (double Loss, IReadOnlyList<Tensor> Gradients) Of(
        Network network, Tensor[] leaves, Tensor images, Tensor labels, Action<Tensor>? seen = null, Precision precision = Precision.Float32)
    {
        using var recorded = enable_grad(); // whatever the caller has switched off
        var outputs = network.Forward(leaves, images, Mode.Training, precision: precision);
        seen?.Invoke(outputs.detach());
        var loss = CrossEntropy.Mean(outputs, labels);
        var value = loss.ToDouble();
        return double.IsFinite(value) ? (value, [.. autograd.grad([loss], [.. leaves.Where(leaf => leaf.requires_grad)])]) : (value, []);
    }

    /// <summary>As above, for one batch only.</summary>
    /// <param name="parameters">The model. Its running statistics move, as in training.</param>
    /// <param name="images">The batch.</param>
    /// <param name="labels">Its labels.</param>
    /// <returns>The loss and the gradients.</returns>
    public static (double Loss, IReadOnlyList<Tensor> Gradients) Of(ParameterSet parameters, Tensor images, Tensor labels)
    {
        var leaves = Leaves(parameters);
        try
        {
            return Of(parameters.Network, leaves, images, labels);
        }
        finally
        {
            foreach (var leaf in leaves) leaf.Dispose();
        }
    }
}
