using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace LmcDsl.Core.Runtime;

/// <summary>
/// One seed reaches every random choice. Each choice draws from a stream of its own, derived from the seed and the
/// choice's name, so that adding a choice, or doing one twice, never shifts another.
/// </summary>
public static class Seeds
{
    /// <summary>Derives the seed of a stream: the first 8 bytes of SHA-256 of <c>"seed/purpose/index"</c>, sign cleared.</summary>
    /// <param name="seed">The user's seed, any value.</param>
    /// <param name="purpose">What is drawn, for example <c>"initialise"</c>.</param>
    /// <param name="index">Which of several of that purpose, for example the epoch.</param>
    /// <returns>A seed of 0 or above.</returns>
    public static long Derive(long seed, string purpose, long index = 0)
    {
        var hash = SHA256.HashData(Encoding.UTF8.GetBytes($"{seed}/{purpose}/{index}"));
        return BinaryPrimitives.ReadInt64LittleEndian(hash) & long.MaxValue;
    }

    /// <summary>A Torch generator on the CPU for one stream. CPU so that the draws are the same for every device.</summary>
    /// <param name="seed">The user's seed.</param>
    /// <param name="purpose">What is drawn.</param>
    /// <param name="index">Which of several of that purpose.</param>
    /// <returns>The generator; the caller disposes it.</returns>
    public static torch.Generator Generator(long seed, string purpose, long index = 0) =>
        new((ulong)Derive(seed, purpose, index), torch.CPU);

    /// <summary>A .NET generator for one stream. .NET promises the same draws for the same seed.</summary>
    /// <param name="seed">The user's seed.</param>
    /// <param name="purpose">What is drawn.</param>
    /// <param name="index">Which of several of that purpose.</param>
    /// <returns>The generator.</returns>
    public static Random Random(long seed, string purpose, long index = 0) =>
        new(unchecked((int)Derive(seed, purpose, index)));
}
