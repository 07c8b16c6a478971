using LmcDsl.Core.Architectures;
using LmcDsl.Core.Data;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Spectra;

/// <summary>
/// What the weights of a network multiply: the inputs of each layer with a weight matrix, as columns of a matrix, so that the
/// layer is <c>weight.flatten(1) @ columns</c>.
/// </summary>
internal static class LayerInputs
{
    // Columns of a convolution are its patches, kernel² times as many numbers as the image: few examples at a time.
    private const int Batch = 100;

    /// <summary>Runs a model in evaluation mode and shows the inputs of every layer with a weight, batch by batch.</summary>
    /// <param name="model">The model.</param>
    /// <param name="split">The examples, on the model's device.</param>
    /// <param name="examples">How many are read, from the first on.</param>
    /// <param name="visit">
    /// Called with each layer and its inputs <c>[weight's columns, samples]</c>; a convolution has one sample for each position
    /// of its output. The tensor is freed afterwards.
    /// </param>
    /// <param name="progress">Called after each batch with the share done.</param>
    /// <exception cref="LmcException">Fewer than 1 example, or examples that do not fit the network.</exception>
    public static void Visit(
        ParameterSet model, DataSplit split, int examples, Action<LayerNode, Tensor> visit, Action<double>? progress = null)
    {
        Guard.Require(examples >= 1, $"layer inputs: expected 1 or more examples, found {examples}");
        Fit.Require(model, split, "layer inputs");
        var readers = model.Network.Architecture.Nodes
            .Where(node => node.Layer.Linear?.Columns is not null).ToLookup(node => node.Inputs[0]);
        var count = Math.Min(examples, split.Count);
        using var quiet = no_grad();
        for (var start = 0L; start < count; start += Batch)
        {
            using var scope = NewDisposeScope();
            var images = split.Images.narrow(0, start, Math.Min(Batch, count - start));
            Show(Architecture.InputName, images);
            model.Network.Forward(model.Views, images, Mode.Evaluation, Show);
            progress?.Invoke(Math.Min(1.0, (double)(start + Batch) / count));
        }

        void Show(string name, Tensor output)
        {
            foreach (var node in readers[name])
            {
                using var scope = NewDisposeScope();
                visit(node, node.Layer.Linear!.Columns!(output));
            }
        }
    }
}
