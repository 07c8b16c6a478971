using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// The axes of a convolution's weight. With g groups the input's channels are g copies of those that one group reads and the output's
/// g copies of those that one group makes: groups move as wholes, and what is in them has an order of its own in each.
/// </summary>
/// <param name="Output">The output's channels.</param>
/// <param name="Outputs">Output channels as the weight has them.</param>
/// <param name="Inputs">Input channels as the weight has them.</param>
internal readonly record struct GroupedWeight(Axis Output, Axis Outputs, Axis Inputs)
{
    /// <summary>For a weight <c>[channels, inputs / groups, ...]</c>.</summary>
    /// <exception cref="LmcException">The groups do not divide the inputs and outputs.</exception>
    public static GroupedWeight Of(Wiring wiring, string layer, Axis input, int channels, int groups)
    {
        Require(layer, input, channels, groups);
        if (groups == 1)
        {
            var whole = wiring.Fresh(channels);
            return new GroupedWeight(whole, whole, input);
        }

        var (copies, read) = wiring.Split(input, groups);
        var output = channels == groups ? copies : wiring.Product(copies, wiring.Fresh(channels / groups));
        return new GroupedWeight(output, output, read);
    }

    /// <summary>For a transposed convolution's weight <c>[inputs, channels / groups, ...]</c>.</summary>
    /// <exception cref="LmcException">The groups do not divide the inputs and outputs.</exception>
    public static GroupedWeight Transposed(Wiring wiring, string layer, Axis input, int channels, int groups)
    {
        Require(layer, input, channels, groups);
        if (groups == 1)
        {
            var whole = wiring.Fresh(channels);
            return new GroupedWeight(whole, whole, input);
        }

        var (copies, _) = wiring.Split(input, groups);
        var made = wiring.Fresh(channels / groups);
        return new GroupedWeight(channels == groups ? copies : wiring.Product(copies, made), made, input);
    }

    private static void Require(string layer, Axis input, int channels, int groups) =>
        Guard.Require(
            groups >= 1 && channels >= 1 && input.Size % groups == 0 && channels % groups == 0,
            $"{layer}: expected groups that divide {input.Size} inputs and {channels} outputs, found {groups}");
}
