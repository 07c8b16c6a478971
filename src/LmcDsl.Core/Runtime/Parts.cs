namespace LmcDsl.Core.Runtime;

/// <summary>Parts of large tensors, so that what is done with one never takes a copy of all of it.</summary>
internal static class Parts
{
    private const long LargeModel = 1 << 25; // numbers: 134 MB in float32

    /// <summary>The most numbers of a part where nothing is known of what lies beside it: 1 MB in float32.</summary>
    public const long Small = 1 << 18;

    /// <summary>The most numbers of a part of a model: few parts are fast, small ones leave room beside a large model.</summary>
    /// <param name="model">How many numbers the model has.</param>
    /// <returns>16 MB in float32, or 1 MB for a large model.</returns>
    public static long Within(long model) => model > LargeModel ? Small : 1 << 22;

    /// <summary>Divides a dimension.</summary>
    /// <param name="length">Its length.</param>
    /// <param name="entries">How many numbers lie along all of it.</param>
    /// <param name="most">The most numbers of a part; more only where one entry of the dimension has more.</param>
    /// <returns>Where each part begins and its length.</returns>
    public static IEnumerable<(long At, long Count)> Of(long length, long entries, long most = Small)
    {
        var each = Math.Max(1, most * length / Math.Max(1, entries));
        for (var at = 0L; at < length; at += each) yield return (at, Math.Min(each, length - at));
    }
}
