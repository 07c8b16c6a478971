using System.Runtime.InteropServices;

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

    /// <summary>Sets it for the process. Does nothing where the C library is another one.</summary>
    public static void Enable()
    {
        try
        {
            // Blocks come from one heap that does not shrink: other heaps than the first cannot hold large ones.
            Set(ArenasAtMost, 1);
            Set(MapsAtMost, 0);
            Set(TrimThreshold, int.MaxValue);
        }
        catch (EntryPointNotFoundException)
        {
            // not glibc
        }
    }

    [DllImport("libc", EntryPoint = "mallopt")]
    private static extern int Set(int parameter, int value);
}
