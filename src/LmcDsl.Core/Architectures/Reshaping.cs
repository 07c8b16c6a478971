using System.Collections.Immutable;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// The same numbers in another shape. Axes that are joined become a product, the outer one first; an axis that is parted is taken as
/// one, such as heads and the units of each.
/// </summary>
public sealed class Reshaping(ImmutableArray<int> shape) : Layer
{
    /// <summary>The new shape, without the batch.</summary>
    public ImmutableArray<int> Shape { get; } = shape;

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        var axes = inputs[0].Axes;
        Guard.Require(
            !Shape.IsDefault && Shape.All(size => size >= 1)
                && Shape.Aggregate(1L, (product, size) => product * size) == axes.Aggregate(1L, (product, axis) => product * axis.Size),
            $"reshaping layer: expected a shape of as many numbers as {Guard.Show(inputs[0].Shape)} has, found {(Shape.IsDefault ? "none" : string.Join(" x ", Shape))}");
        // Axes of one entry have no order: they come and go.
        var (reading, writing) = (new Queue<Axis>(axes.Where(axis => axis.Size > 1)), new Queue<int>(Shape.Where(size => size > 1)));
        var made = new Queue<Axis>();
        while (reading.Count > 0)
        {
            // As few axes on both sides as have the same number of entries.
            List<Axis> before = [reading.Dequeue()];
            List<int> after = [writing.Dequeue()];
            var (one, other) = ((long)before[0].Size, (long)after[0]);
            while (one != other)
                if (one < other)
                {
                    before.Add(reading.Dequeue());
                    one *= before[^1].Size;
                }
                else
                {
                    after.Add(writing.Dequeue());
                    other *= after[^1];
                }

            var rest = before.Skip(1).Aggregate(before[0], wiring.Product);
            for (var k = 0; k < after.Count - 1; k++)
            {
                (var outer, rest) = wiring.Split(rest, after[k]);
                made.Enqueue(outer);
            }

            made.Enqueue(rest);
        }

        return new Signal([.. Shape.Select(size => size == 1 ? wiring.Fixed(1) : made.Dequeue())]);
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode) =>
        inputs[0].reshape([inputs[0].shape[0], .. Shape.Select(size => (long)size)]);
}
