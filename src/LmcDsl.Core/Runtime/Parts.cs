namespace LmcDsl.Core.Runtime;

/// <summary>Parts of large tensors, so that what is done with one never takes a copy of all of it.</summary>
internal static class Parts
{
    /// <summary>The most numbers of a part: 1 MB in float32.</summary>
    public const long Entries = 1 << 18;

    /// <summary>Divides a dimension.</summary>
    /// <param name="length">Its length.</param>
    /// <param name="entries">How many numbers lie along all of it.</param>
    /// <returns>Where each part begins and its length.</returns>
    public static IEnumerable<(long At, long Count)> Of(long length, long entries)
    {
        var each = Math.Max(1, Entries * length / Math.Max(1, entries));
        for (var at = 0L; at < length; at += each) yield return (at, Math.Min(each, length - at));
    }
}
