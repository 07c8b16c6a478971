using LmcDsl.Core.Architectures;
using LmcDsl.Core.Measures;
using static TorchSharp.torch;

namespace LmcDsl.Core.Differentiation;

/// <summary>A network's loss as a function of its learned parameters in one flat tensor, to be differentiated.</summary>
public static class LossFunction
{
    /// <summary>Mean cross-entropy on a batch, in evaluation mode.</summary>
    /// <param name="model">Gives the network, and the running statistics, which are constants.</param>
    /// <param name="images">The batch, <c>[batch, ...Architecture.Input]</c>.</param>
    /// <param name="labels">Its labels, <c>[batch]</c>.</param>
    /// <returns>A function of a tensor <c>[LearnedCount]</c> that gives a tensor of one element.</returns>
    public static Func<Tensor, Tensor> Of(ParameterSet model, Tensor images, Tensor labels) => flat =>
    {
        var views = model.Network.Parameters.Zip(model.Views, (spec, own) =>
            spec.Learned ? flat.narrow(0, spec.Offset, spec.Count).view(spec.Shape) : own).ToArray();
        return CrossEntropy.Mean(model.Network.Forward(views, images, Mode.Evaluation), labels);
    };
}
