using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Architectures;

/// <summary>Arithmetic on sizes that a description gives, which may be anything.</summary>
internal static class Sizes
{
    /// <summary>The product of sizes of 1 or more.</summary>
    /// <param name="what">What is counted, for the message.</param>
    /// <param name="sizes">The sizes.</param>
    /// <exception cref="LmcException">A size is below 1, or the product does not fit into 32 bits.</exception>
    public static int Product(string what, params ReadOnlySpan<int> sizes)
    {
        var product = 1L;
        foreach (var size in sizes)
        {
            Guard.Require(size >= 1, $"{what}: expected sizes of 1 or more, found {string.Join(" x ", sizes.ToArray())}");
            product *= size;
            Guard.Require(
                product <= int.MaxValue, $"{what}: expected at most {int.MaxValue}, found {string.Join(" x ", sizes.ToArray())}");
        }

        return (int)product;
    }

    /// <summary>How many positions a window has along a side; 0 where it does not fit once.</summary>
    /// <param name="size">Entries of the side.</param>
    /// <param name="kernel">Entries of the window.</param>
    /// <param name="stride">Its step.</param>
    /// <param name="padding">Entries added at both ends.</param>
    /// <param name="dilation">Step between the window's entries.</param>
    /// <param name="ceiling">Whether a last window may reach beyond the end, as long as it begins before.</param>
    public static int Windows(int size, int kernel, int stride, int padding, int dilation = 1, bool ceiling = false)
    {
        var room = size + 2L * padding - (long)dilation * (kernel - 1) - 1;
        if (room < 0) return 0;
        var count = room / stride + 1;
        if (ceiling && room % stride != 0 && count * stride < (long)size + padding) count++;
        return (int)Math.Min(count, int.MaxValue);
    }
}
