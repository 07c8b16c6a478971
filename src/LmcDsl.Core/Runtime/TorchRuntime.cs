using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace LmcDsl.Core.Runtime;

/// <summary>
/// Loads Torch's native library, also where it does not load as it comes: on systems whose libstdc++ is older than GCC
/// 13.1 (Debian 12, Ubuntu 22.04, RHEL 9), and in scripts, where TorchSharp looks in the wrong folder. Call it before
/// anything else touches <c>torch</c>.
/// </summary>
public static class TorchRuntime
{
    private const string Library = "libLibTorchSharp.so";
    private const string NeededVersion = "GLIBCXX_3.4.32";
    private const string MarkerOfNeededVersion = "_ZSt21ios_base_library_initv";

    private static readonly Lock Gate = new();
    private static string? outcome;

    /// <summary>Loads the library once per process; later calls return at once with the first call's answer.</summary>
    /// <returns>One line that says what was changed, the first time that it is; else an empty text.</returns>
    /// <exception cref="LmcException">The library cannot be loaded; the line says why and what would help.</exception>
    public static string Load()
    {
        lock (Gate) return outcome ??= LoadOnce();
    }

    /// <summary>Sets how many threads Torch uses for one operation.</summary>
    /// <param name="threads">1 or more.</param>
    /// <exception cref="LmcException">Fewer than 1.</exception>
    public static void UseThreads(int threads)
    {
        Guard.Require(threads >= 1, $"threads: expected 1 or more, found {threads}");
        Load();
        if (torch.get_num_threads() != threads) torch.set_num_threads(threads);
    }

    /// <summary>How many threads Torch uses for one operation.</summary>
    public static int Threads
    {
        get
        {
            Load();
            return torch.get_num_threads();
        }
    }

    /// <summary>Finds a device by its name.</summary>
    /// <param name="name"><c>cpu</c>, <c>cuda</c> or <c>cuda:N</c>.</param>
    /// <returns>The device, ready for use.</returns>
    /// <exception cref="LmcException">The name is none of these, or this machine or build of Torch has no such device.</exception>
    public static torch.Device Device(string name)
    {
        Load();
        if (name == "cpu") return torch.CPU;
        var index = 0;
        Guard.Require(
            name == "cuda" || (name.StartsWith("cuda:", StringComparison.Ordinal) && int.TryParse(name[5..], out index)),
            $"device: expected cpu, cuda or cuda:N, found '{name}'");
        var devices = torch.cuda.is_available() ? torch.cuda.device_count() : 0;
        Guard.Require(
            index < devices,
            $"device: '{name}' is not there: this build of Torch sees {devices} CUDA devices (a CUDA build is chosen in paket.dependencies)");
        return new torch.Device(DeviceType.CUDA, index);
    }

    private static string LoadOnce()
    {
        if (!OperatingSystem.IsLinux()) return "";
        MemoryReuse.Enable();
        OpenMpWaiting.Bound();
        var original = FindLibrary();
        if (SystemHasNeededVersion())
        {
            LoadFrom(original);
            return "";
        }

        var (patched, isNew) = Patch(original);
        LoadFrom(patched);
        return isNew ? $"Torch: this system's libstdc++ has no {NeededVersion}; made a copy that loads without it, {patched}" : "";
    }

    private static string FindLibrary()
    {
        var beside = Path.GetDirectoryName(typeof(torch).Assembly.Location);
        string[] folders = [beside ?? AppContext.BaseDirectory, AppContext.BaseDirectory];
        var rid = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? "linux-x64" : "linux-arm64";
        string[] candidates =
            [.. folders.SelectMany(f => new[] { Path.Combine(f, "runtimes", rid, "native", Library), Path.Combine(f, Library) })];
        return candidates.FirstOrDefault(File.Exists)
            ?? throw new LmcException($"Torch: {Library} was not found; looked for {string.Join(", ", candidates.Distinct())}");
    }

    // Asks the system's own libstdc++ for the one symbol that the version consists of.
    private static bool SystemHasNeededVersion()
    {
        if (!NativeLibrary.TryLoad("libstdc++.so.6", out var handle))
            throw new LmcException("Torch: the system has no libstdc++.so.6 (install your system's package, e.g. libstdc++6)");
        return NativeLibrary.TryGetExport(handle, MarkerOfNeededVersion, out _);
    }

    private static void LoadFrom(string path)
    {
        try
        {
            NativeLibrary.Load(path);
        }
        catch (DllNotFoundException error)
        {
            throw new LmcException($"Torch: {path} does not load: {error.Message.ReplaceLineEndings(" ")}", error);
        }
    }

    // A folder of links to every library of the original's folder, with the patched copy in the original's place: libtorch
    // must be loaded once only, and links keep it the same file. Works where the original's folder is read-only.
    private static (string Path, bool IsNew) Patch(string original)
    {
        var bytes = File.ReadAllBytes(original);
        if (WeakVersionNeed.Mark(bytes, NeededVersion) == 0)
            throw new LmcException($"Torch: {original} does not need {NeededVersion}; this system lacks it and nothing was to be mended");

        var source = Path.GetDirectoryName(original)!;
        var name = Convert.ToHexStringLower(SHA256.HashData([.. bytes, .. System.Text.Encoding.UTF8.GetBytes(source)]))[..16];
        try
        {
            return WritePatched(PrivateFolder.Make(Path.Combine(UserCache.Folder, "lmcdsl", "torch", name), own: 3), source, bytes);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // a home that cannot be written
            return WritePatched(PrivateFolder.Make(Path.Combine(UserCache.Temporary, name), own: 2), source, bytes);
        }
    }

    private static (string Path, bool IsNew) WritePatched(string folder, string source, byte[] bytes)
    {
        var names = Directory.EnumerateFiles(source).Select(f => Path.GetFileName(f)).ToHashSet();
        // Whatever else lies here was put there by others, but for what another process writes at this moment.
        foreach (var other in new DirectoryInfo(folder).EnumerateFileSystemInfos())
            if (!names.Contains(other.Name) && !other.Name.StartsWith(Library + ".", StringComparison.Ordinal)) Remove(other);
        foreach (var file in names.Where(file => file != Library)) Link(Path.Combine(source, file), Path.Combine(folder, file));

        var patched = Path.Combine(folder, Library);
        if (UnixFile.Look(patched, follow: false).Kind == FileKind.Regular && File.ReadAllBytes(patched).AsSpan().SequenceEqual(bytes))
            return (patched, false);
        var temporary = $"{patched}.{Environment.ProcessId}.tmp";
        File.WriteAllBytes(temporary, bytes);
        File.Move(temporary, patched, overwrite: true);
        return (patched, true);
    }

    private static void Remove(FileSystemInfo file)
    {
        if (file is DirectoryInfo { LinkTarget: null } folder) folder.Delete(recursive: true);
        else file.Delete();
    }

    private static void Link(string target, string link)
    {
        if (new FileInfo(link).LinkTarget == target) return;
        try
        {
            File.Delete(link); // a link to another place
            File.CreateSymbolicLink(link, target);
        }
        catch (IOException) when (new FileInfo(link).LinkTarget == target)
        {
            // another process made it in between
        }
    }
}
