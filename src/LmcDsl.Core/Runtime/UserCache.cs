namespace LmcDsl.Core.Runtime;

/// <summary>Where this user's caches lie.</summary>
public static class UserCache
{
    /// <summary>
    /// <c>XDG_CACHE_HOME</c> where it is an absolute path (another is ignored, as its specification says), or <c>~/.cache</c>, or, for a user
    /// without a home, a folder of that user's number among temporary files. It need not exist.
    /// </summary>
    public static string Folder
    {
        get
        {
            var named = Environment.GetEnvironmentVariable("XDG_CACHE_HOME");
            if (named is not null && Path.IsPathRooted(named)) return named;
            var home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile, Environment.SpecialFolderOption.DoNotVerify);
            return Path.IsPathRooted(home) ? Path.Combine(home, ".cache") : Temporary;
        }
    }

    /// <summary>A folder of the user's number among temporary files. Whoever loads code from it must check whose it is.</summary>
    internal static string Temporary => Path.Combine(Path.GetFullPath(Path.GetTempPath()), $"lmcdsl-{UnixFile.User}");
}
