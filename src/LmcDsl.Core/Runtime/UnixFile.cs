using System.Runtime.InteropServices;

namespace LmcDsl.Core.Runtime;

/// <summary>What lies under a name.</summary>
public enum FileKind
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>A file with content of its own.</summary>
    Regular,

    /// <summary>A folder.</summary>
    Folder,

    /// <summary>A symbolic link, where links are not followed.</summary>
    Link,

    /// <summary>A device, a pipe or a socket: reading may wait for ever, and replacing it would take it away.</summary>
    Other,
}

/// <summary>What the system says of a file.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Owner">The owner's number.</param>
/// <param name="Mode">Who may read, write and execute it, and whether only owners may take names away (sticky).</param>
public readonly record struct FileFacts(FileKind Kind, uint Owner, UnixFileMode Mode);

/// <summary>What .NET does not tell of files: their kind and owner, by the system's own call.</summary>
public static partial class UnixFile
{
    private const int OfWorkingFolder = -100, DoNotFollow = 0x100; // AT_FDCWD, AT_SYMLINK_NOFOLLOW
    private const uint BasicFacts = 0x7ff; // STATX_BASIC_STATS

    /// <summary>The number of the user that this process acts as.</summary>
    public static uint User => OperatingSystem.IsWindows() ? 0 : EffectiveUser();

    /// <summary>What lies under a name.</summary>
    /// <param name="path">The name.</param>
    /// <param name="follow">Whether a link counts as what it leads to.</param>
    /// <returns>Its facts; of kind <see cref="FileKind.None"/> where nothing is there, or nothing that can be reached.</returns>
    public static unsafe FileFacts Look(string path, bool follow = true)
    {
        if (!OperatingSystem.IsLinux()) return Portable(path, follow);
        // struct statx: the owner lies at 20, type and mode at 28.
        var facts = stackalloc byte[256];
        if (path.Contains('\0') || Status(OfWorkingFolder, path, follow ? 0 : DoNotFollow, BasicFacts, facts) != 0) return default;
        var mode = *(ushort*)(facts + 28);
        var kind = (mode & 0xf000) switch
        {
            0x8000 => FileKind.Regular,
            0x4000 => FileKind.Folder,
            0xa000 => FileKind.Link,
            _ => FileKind.Other,
        };
        return new(kind, *(uint*)(facts + 20), (UnixFileMode)(mode & 0xfff));
    }

    /// <summary>What lies under a name, links followed.</summary>
    /// <param name="path">The name.</param>
    /// <returns>Its kind.</returns>
    public static FileKind Kind(string path) => Look(path).Kind;

    /// <summary>Gives a file, folder or link another name, whatever it is.</summary>
    /// <param name="from">Its name.</param>
    /// <param name="to">Its new name, on the same file system.</param>
    /// <returns>Whether there was anything.</returns>
    /// <exception cref="IOException">The system refuses.</exception>
    public static bool Rename(string from, string to)
    {
        if (OperatingSystem.IsWindows()) return MoveAny(from, to);
        if (Move(from, to) == 0) return true;
        var error = Marshal.GetLastPInvokeError();
        return error == 2 /* ENOENT */ ? false : throw new IOException($"{from}: {Marshal.GetPInvokeErrorMessage(error)}", error);
    }

    // What .NET says, which is no owner and no difference between a device and a file: statx is Linux's.
    private static FileFacts Portable(string path, bool follow)
    {
        if (path.Length == 0 || path.Contains('\0')) return default;
        FileSystemInfo info = Directory.Exists(path) ? new DirectoryInfo(path) : new FileInfo(path);
        var isLink = info.LinkTarget is not null;
        if (!info.Exists && !isLink) return default;
        if (isLink && follow && info.ResolveLinkTarget(returnFinalTarget: true) is not { Exists: true }) return default;
        var kind = isLink && !follow ? FileKind.Link : info is DirectoryInfo ? FileKind.Folder : FileKind.Regular;
        const UnixFileMode All = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
        return new(kind, User, OperatingSystem.IsWindows() ? All : info.UnixFileMode);
    }

    private static bool MoveAny(string from, string to)
    {
        if (Directory.Exists(from)) Directory.Move(from, to);
        else if (File.Exists(from)) File.Move(from, to, overwrite: true);
        else return false;
        return true;
    }

    [LibraryImport("libc", EntryPoint = "statx", StringMarshalling = StringMarshalling.Utf8)]
    private static unsafe partial int Status(int folder, string path, int flags, uint mask, byte* facts);

    [LibraryImport("libc", EntryPoint = "rename", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static partial int Move(string from, string to);

    [LibraryImport("libc", EntryPoint = "geteuid")]
    private static partial uint EffectiveUser();
}
