using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Checkpoints;

/// <summary>
/// What looking through a pickle may cost, in characters of names: a few times its length. A sound one costs less; one that names a part of
/// itself again and again would cost any time and memory.
/// </summary>
/// <param name="name">The file's name, for messages.</param>
/// <param name="length">The pickle's length.</param>
internal sealed class WorkLimit(string name, long length)
{
    private long left = 100_000 + 4 * length;

    /// <summary>Takes from what is left.</summary>
    /// <param name="characters">How much.</param>
    /// <exception cref="LmcException">Nothing is left.</exception>
    public void Spend(long characters) => Require((left -= characters) >= 0);

    /// <summary>Requires what holds of every sound file.</summary>
    /// <param name="isSound">Whether it holds.</param>
    /// <exception cref="LmcException">It does not.</exception>
    public void Require(bool isSound) =>
        Guard.Require(isSound, $"{name}: expected modules and dicts as a model has them, found more or deeper ones than the file's size warrants (does one hold itself?)");
}
