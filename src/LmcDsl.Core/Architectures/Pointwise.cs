using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// A 1x1 convolution without padding as what it is: a product of the channels at each position with a matrix. With each position's
/// channels side by side in memory the positions are the rows of a matrix as they lie; a stride takes every so many rows and columns
/// of them. oneDNN's own kernel for these divides by zero on processors that it does not know (with 1,024 output channels or more, on
/// AMD's family 26 in a virtual machine), which ends the process.
/// </summary>
internal static class Pointwise
{
    /// <summary>Computes it; gradients follow.</summary>
    /// <param name="images"><c>[batch, inputs, height, width]</c>, fast where each position's channels lie side by side.</param>
    /// <param name="weight"><c>[outputs, inputs / groups, 1, 1]</c>; how many groups there are follows.</param>
    /// <param name="bias"><c>[outputs]</c>, or nothing.</param>
    /// <param name="stride">Every so many rows and columns count.</param>
    /// <returns><c>[batch, outputs, rows, columns]</c> with each position's channels side by side, rows being
    /// <c>(height - 1) / stride + 1</c>.</returns>
    public static Tensor Convolve(Tensor images, Tensor weight, Tensor? bias, int stride)
    {
        var positions = images.permute(0, 2, 3, 1);
        if (stride > 1) positions = positions.slice(1, 0, images.shape[2], stride).slice(2, 0, images.shape[3], stride);
        var (batch, rows, columns, inputs) = (positions.shape[0], positions.shape[1], positions.shape[2], positions.shape[3]);
        var (outputs, each) = (weight.shape[0], weight.shape[1]);
        var product = each == inputs
            ? positions.reshape(-1, inputs).mm(weight.view(outputs, inputs).t())
            : OfGroups(positions.reshape(-1, inputs / each, each), weight.view(inputs / each, -1, each));
        if (bias is not null) product = product.add(bias);
        return product.view(batch, rows, columns, outputs).permute(0, 3, 1, 2);
    }

    // Of each group a product of its own, put side by side.
    private static Tensor OfGroups(Tensor rows, Tensor weights) =>
        rows.transpose(0, 1).bmm(weights.transpose(1, 2)).transpose(0, 1).reshape(rows.shape[0], -1);
}
