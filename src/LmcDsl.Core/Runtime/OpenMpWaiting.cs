using System.Runtime.InteropServices;

namespace LmcDsl.Core.Runtime;

/// <summary>
/// How Torch's threads wait between two operations. By itself GCC's OpenMP (libgomp) has them spin for milliseconds, each on a core:
/// where another process wants that core, the spinning one is taken off it and everybody waits for it, so that weight matching of an
/// MLP took 20 to 40 times as long. A short spin, then sleep, costs nothing on an idle machine and little on a busy one.
/// </summary>
internal static class OpenMpWaiting
{
    // Rounds of a pause instruction before a thread sleeps: tens of nanoseconds each. See docs/performance.md for what others gave.
    private const string Rounds = "2000";

    /// <summary>
    /// Sets it for the process, unless the user has said something about it. libgomp reads its environment once, when it is loaded, and
    /// natively, where .NET's own variables do not reach: call this before Torch is loaded.
    /// </summary>
    public static void Bound()
    {
        string[] ofUser = ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT"];
        var said = ofUser.Where(name => Environment.GetEnvironmentVariable(name) is not null).ToArray();
        // What a script has set by .NET alone is handed on.
        foreach (var name in said) Set(name, Environment.GetEnvironmentVariable(name)!, overwrite: 1);
        if (said.Length == 0) Set("GOMP_SPINCOUNT", Rounds, overwrite: 1);
    }

    /// <summary>A variable as native code sees it.</summary>
    /// <param name="name">Its name.</param>
    /// <returns>Its value, or nothing where it is not set.</returns>
    public static string? Native(string name) => Marshal.PtrToStringUTF8(Get(name));

    [DllImport("libc", EntryPoint = "setenv", CharSet = CharSet.Ansi)]
    private static extern int Set(string name, string value, int overwrite);

    [DllImport("libc", EntryPoint = "getenv", CharSet = CharSet.Ansi)]
    private static extern nint Get(string name);
}
