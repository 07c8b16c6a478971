using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace LmcDsl.Core.Runtime;

/// <summary>
/// Has the C library keep freed memory for the next tensor. By itself glibc asks the system for every block above 32 MB and
/// gives it back when it is freed; the system then fills its pages with zeros anew at each step. Training a ResNet20 at batch 500
/// spent half of its time there.
/// </summary>
internal static class MemoryReuse
{
    // Of malloc.h.
    private const int TrimThreshold = -1, MapsAtMost = -4, ArenasAtMost = -8;

    private const int MostMaps = 1 << 16;
    private const long Large = 1L << 28;
    private static readonly Lock apart = new();
    private static bool isEnabled;

    /// <summary>Sets it for the process. Does nothing where the C library is another one.</summary>
    public static void Enable()
    {
        try
        {
            // Blocks come from one heap that does not shrink: other heaps than the first cannot hold large ones.
            Set(ArenasAtMost, 1);
            Set(MapsAtMost, 0);
            Set(TrimThreshold, int.MaxValue);
            isEnabled = true;
        }
        catch (EntryPointNotFoundException)
        {
            // not glibc
        }
    }

    /// <summary>
    /// Makes a tensor that is large and stays long, such as a model's numbers. Of those above 256 MB the memory is the system's own, not the
    /// heap's: where one was freed smaller blocks would settle, the next one would not fit there, and the heap would grow by it.
    /// </summary>
    /// <param name="bytes">How large it is.</param>
    /// <param name="make">Makes it.</param>
    /// <returns>The tensor.</returns>
    public static Tensor Apart(long bytes, Func<Tensor> make)
    {
        if (bytes < Large || !isEnabled) return make();
        lock (apart)
        {
            Set(MapsAtMost, MostMaps);
            try
            {
                return make();
            }
            finally
            {
                Set(MapsAtMost, 0);
            }
        }
    }

    [DllImport("libc", EntryPoint = "mallopt")]
    private static extern int Set(int parameter, int value);
}
