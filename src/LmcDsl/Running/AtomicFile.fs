namespace LmcDsl

open System
open System.IO
open System.Runtime.InteropServices
open System.Text.RegularExpressions
open Microsoft.Win32.SafeHandles

/// Files that are there whole or not at all: written under a temporary name, flushed to the disk, then moved. A writer holds its temporary
/// file until it has its name; the system lets go of it when the writer dies, so that left-overs can be told from work, whatever the clock says.
[<RequireQualifiedAccess>]
module AtomicFile =

    let private wouldBlock = 11 // EAGAIN: another process holds the file
    let private temporaryName = Regex(@"\.[0-9a-f]{32}\.tmp$", RegexOptions.Compiled)

    let private shared = 1 // LOCK_SH

    [<DllImport("libc")>]
    extern int private flock(SafeFileHandle file, int operation)

    let private createAnd (finish: FileStream -> unit) (path: string) (write: Stream -> unit) =
        use stream = new FileStream(path, FileMode.CreateNew, FileAccess.Write, FileShare.None)
        write stream
        stream.Flush(flushToDisk = true)
        finish stream

    /// Writes a new file and flushes it to the disk.
    let internal create (path: string) (write: Stream -> unit) = createAnd ignore path write

    // At first the file is the writer's alone; from before it has its name it is shared with readers, but not with a sweeper, who asks for
    // it alone. In the moments before it is held, and from the one to the other, a sweeper may take it: then it is written again.
    let rec private attempt (full: string) (write: Stream -> unit) tries =
        let temporary = $"{full}.{Guid.NewGuid():N}.tmp"

        let publish (stream: FileStream) =
            flock (stream.SafeFileHandle, shared) |> ignore
            File.Move(temporary, full, overwrite = true)

        try
            try
                createAnd publish temporary write
            finally
                File.Delete temporary
        with
        | :? FileNotFoundException when tries > 0 -> attempt full write (tries - 1)
        | :? IOException as error when error.HResult = wouldBlock && tries > 0 -> attempt full write (tries - 1)

    /// Writes a file through `write`, which may be called again, replacing one of that name.
    let write (path: string) (write: Stream -> unit) =
        let full = Path.GetFullPath path
        (FileInfo full).Directory |> Option.ofObj |> Option.iter _.Create()
        attempt full write 20

    /// Writes text as UTF-8.
    let writeText (path: string) (text: string) =
        write path (fun stream -> stream.Write(Text.Encoding.UTF8.GetBytes text))

    /// Removes what writers that were killed left in a folder, of files whose names begin so. Returns how many files were removed.
    let sweep (folder: string) (start: string) : int =
        let removed (path: string) =
            try
                use _ = new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None)
                File.Delete path
                true
            with
            | :? FileNotFoundException -> false
            | :? IOException as error when error.HResult = wouldBlock -> false // someone is at work on it

        if Directory.Exists folder then
            Directory.GetFiles(folder, start + "*.tmp")
            |> Array.filter (fun path -> temporaryName.IsMatch path && removed path)
            |> Array.length
        else
            0
