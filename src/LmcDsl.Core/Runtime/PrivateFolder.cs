namespace LmcDsl.Core.Runtime;

/// <summary>
/// Folders whose files are loaded as code: nobody but this user (and root) can have put anything into them. A folder under a name that
/// others can guess, in a place where others can write, is theirs if they were first.
/// </summary>
internal static class PrivateFolder
{
    private const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
    private const UnixFileMode WritableByOthers = UnixFileMode.GroupWrite | UnixFileMode.OtherWrite;

    /// <summary>Makes a folder, mode 0700, and those above it that are missing.</summary>
    /// <param name="path">An absolute path.</param>
    /// <param name="own">How many folders at its end are this library's: they must be folders of the user's.</param>
    /// <returns>The folder, links above it resolved.</returns>
    /// <exception cref="LmcException">Somebody else could have put files into it; the line names the folder that lets them.</exception>
    /// <exception cref="IOException">It cannot be made.</exception>
    /// <exception cref="UnauthorizedAccessException">It cannot be made.</exception>
    public static string Make(string path, int own)
    {
        var names = path.Split('/', StringSplitOptions.RemoveEmptyEntries);
        var above = Resolved("/" + string.Join('/', names[..^own]));
        // Whoever owns the root of all files owns everything; in some containers that is nobody's number.
        uint[] trusted = [0, UnixFile.User, UnixFile.Look("/").Owner];
        for (var folder = above; folder is not null; folder = Path.GetDirectoryName(folder)) CheckAbove(folder, trusted);
        var made = above;
        foreach (var name in names[^own..])
        {
            made = Path.Combine(made, name);
            if (UnixFile.Look(made, follow: false).Kind == FileKind.None) Create(made);
            CheckOwn(made);
        }

        return made;
    }

    // The path with every link in it followed.
    private static string Resolved(string path)
    {
        Create(path);
        var found = "/";
        foreach (var name in path.Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            found = Path.Combine(found, name);
            var target = new DirectoryInfo(found).ResolveLinkTarget(returnFinalTarget: true);
            if (target is not null) found = Resolved(target.FullName);
        }

        return found;
    }

    private static void CheckAbove(string folder, uint[] trusted)
    {
        var facts = UnixFile.Look(folder);
        var open = (facts.Mode & UnixFileMode.OtherWrite) != 0 && (facts.Mode & UnixFileMode.StickyBit) == 0;
        if (!trusted.Contains(facts.Owner) || open) Refuse(folder, facts);
    }

    // One of the user's own that a lax umask has left open is closed; what lies in it is still to be looked at.
    private static void CheckOwn(string folder)
    {
        var facts = UnixFile.Look(folder, follow: false);
        if (facts.Kind != FileKind.Folder || facts.Owner != UnixFile.User) Refuse(folder, facts);
        if ((facts.Mode & WritableByOthers) != 0 && !OperatingSystem.IsWindows())
            File.SetUnixFileMode(folder, facts.Mode & ~WritableByOthers);
    }

    private static void Create(string path)
    {
        if (OperatingSystem.IsWindows()) Directory.CreateDirectory(path);
        else Directory.CreateDirectory(path, Private);
    }

    private static void Refuse(string folder, FileFacts facts) =>
        throw new LmcException(
            $"Torch: expected a folder that only user {UnixFile.User} can write to, since code is loaded from it, found {folder}, "
            + $"{(facts.Kind == FileKind.Link ? "a link" : $"of user {facts.Owner} with mode {Convert.ToString((int)facts.Mode, 8)}")} "
            + "(remove it, or name another folder in XDG_CACHE_HOME)");
}
