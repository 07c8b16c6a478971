using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace LmcDsl.Core.Runtime;

/// <summary>Files that a user names for reading: regular files only, so that a pipe without a writer or a device without an end hangs nothing.</summary>
public static class InputFile
{
    private const int LargestText = 1 << 24;
    private const int AtWorkingFolder = -100; // AT_FDCWD
    private const uint TypeOnly = 1; // STATX_TYPE
    private const int NotPermitted = 1; // EPERM
    private const int NotKnown = 38; // ENOSYS
    private const int ModeAt = 28; // struct statx is laid out alike on every processor

    /// <summary>Requires a path to lead to a regular file, following links.</summary>
    /// <param name="path">The path.</param>
    /// <param name="what">What is expected there, for the message: <c>a checkpoint</c>.</param>
    /// <exception cref="LmcException">There is nothing, or something else; the line says what.</exception>
    public static void Require(string path, string what)
    {
        var found = KindOf(path);
        Guard.Require(found == "a file", $"{Excerpt.Of(path)}: expected {what}, found {found}");
    }

    /// <summary>Whether a path leads to a folder, following links.</summary>
    /// <param name="path">The path.</param>
    /// <returns>Whether.</returns>
    public static bool IsFolder(string path) => KindOf(path) == "a folder";

    /// <summary>Reads a text in UTF-8.</summary>
    /// <param name="path">The file.</param>
    /// <param name="what">What is expected there, for the message.</param>
    /// <returns>The text.</returns>
    /// <exception cref="LmcException">There is no such file, it cannot be read, is no text, or has more than 16 MB.</exception>
    public static string ReadText(string path, string what)
    {
        Require(path, what);
        try
        {
            var length = new FileInfo(path).Length;
            Guard.Require(length <= LargestText, $"{Excerpt.Of(path)}: expected {what} of at most {LargestText} bytes, found {length}");
            return new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true)
                .GetString(File.ReadAllBytes(path)).TrimStart('\uFEFF');
        }
        catch (DecoderFallbackException error)
        {
            throw new LmcException($"{Excerpt.Of(path)}: expected {what}, found bytes that are no text in UTF-8", error);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new LmcException($"{Excerpt.Of(path)}: expected {what}: {error.Message.ReplaceLineEndings(" ")}", error);
        }
    }

    private static string KindOf(string path)
    {
        if (path.Length == 0 || path.Contains('\0')) return "no file of that name";
        var answer = new byte[256];
        if (Asked(path, answer) is { } error) return error is NotKnown ? Simply(path) : $"no such file ({Marshal.GetPInvokeErrorMessage(error)})";
        return (BinaryPrimitives.ReadUInt16LittleEndian(answer.AsSpan(ModeAt)) & 0xF000) switch
        {
            0x8000 => "a file",
            0x4000 => "a folder",
            0x1000 => "a pipe",
            0x2000 or 0x6000 => "a device",
            _ => "no regular file",
        };
    }

    // The system's error, or nothing. Old systems, and containers with old filters, do not know the question.
    private static int? Asked(string path, byte[] answer)
    {
        if (!OperatingSystem.IsLinux()) return NotKnown;
        try
        {
            if (statx(AtWorkingFolder, path, 0, TypeOnly, answer) == 0) return null;
            var error = Marshal.GetLastPInvokeError();
            return error == NotPermitted ? NotKnown : error;
        }
        catch (EntryPointNotFoundException)
        {
            return NotKnown;
        }
    }

    private static string Simply(string path) => File.Exists(path) ? "a file" : Directory.Exists(path) ? "a folder" : "no such file";

    [DllImport("libc", SetLastError = true)]
    private static extern int statx(int folder, [MarshalAs(UnmanagedType.LPUTF8Str)] string path, int flags, uint mask, byte[] answer);
}
