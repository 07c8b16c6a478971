using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Architectures;

/// <summary>The networks that papers on linear mode connectivity use, as functions of their sizes.</summary>
public static class Catalogue
{
    /// <summary>
    /// A multilayer perceptron with biases and ReLU: flatten, then dense layers <c>fc1, fc2, ...</c> with an activation
    /// after each but the last. With hidden widths 512, 512, 512 on 28x28 images it is the network of Git Re-Basin
    /// (2209.04836, section 5) and of 2402.04051; it has one permutation group for each hidden layer.
    /// </summary>
    /// <param name="input">Shape of one example, for example <c>[1, 28, 28]</c>.</param>
    /// <param name="hidden">Width of each hidden layer.</param>
    /// <param name="classes">Number of outputs.</param>
    /// <returns>The architecture.</returns>
    /// <exception cref="LmcException">A width, a size or the number of classes is below 1.</exception>
    public static Architecture Mlp(IReadOnlyList<int> input, IReadOnlyList<int> hidden, int classes)
    {
        Guard.Require(
            input.Count > 0 && input.Concat(hidden).Append(classes).All(size => size >= 1),
            $"mlp: expected sizes of 1 or more, found input [{string.Join(", ", input)}], hidden [{string.Join(", ", hidden)}], {classes} classes");
        List<LayerNode> nodes = [new("flatten", new Flatten(), [Architecture.InputName])];
        for (var k = 0; k < hidden.Count; k++)
        {
            nodes.Add(new($"fc{k + 1}", new Dense(hidden[k]), [nodes[^1].Name]));
            nodes.Add(new($"relu{k + 1}", new Activation(ActivationFunction.Relu), [nodes[^1].Name]));
        }

        nodes.Add(new($"fc{hidden.Count + 1}", new Dense(classes), [nodes[^1].Name]));
        return new Architecture($"mlp {string.Join("-", hidden)}", [.. input], [.. nodes]);
    }
}
