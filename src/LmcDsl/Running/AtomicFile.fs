namespace LmcDsl

open System
open System.IO
open System.Text.RegularExpressions

/// Files that are there whole or not at all: written under a temporary name, flushed to the disk, then moved. A writer holds its temporary
/// file until the file has its name; the system lets go of it when the writer dies, so that left-overs can be told from work, whatever the
/// clock says.
[<RequireQualifiedAccess>]
module AtomicFile =

    let private wouldBlock = 11 // EAGAIN: another process holds the file
    let private temporaryName = Regex(@"\.[0-9a-f]{32}\.tmp$", RegexOptions.Compiled)

    let private openNew (path: string) = new FileStream(path, FileMode.CreateNew, FileAccess.Write, FileShare.None)

    let private fill (stream: FileStream) (write: Stream -> unit) =
        write stream
        stream.Flush(flushToDisk = true)

    /// Writes a new file and flushes it to the disk.
    let internal create (path: string) (write: Stream -> unit) =
        use stream = openNew path
        fill stream write

    // A sweeper may hold a file for the moment between its making and its holding.
    let rec private openTemporary (full: string) tries =
        let temporary = $"{full}.{Guid.NewGuid():N}.tmp"

        try
            temporary, openNew temporary
        with :? IOException as error when error.HResult = wouldBlock && tries > 0 ->
            openTemporary full (tries - 1)

    /// Writes a file through `write`, replacing one of that name.
    let write (path: string) (write: Stream -> unit) =
        let full = Path.GetFullPath path
        (FileInfo full).Directory |> Option.ofObj |> Option.iter _.Create()
        let temporary, stream = openTemporary full 3
        use stream = stream

        try
            fill stream write
            File.Move(temporary, full, overwrite = true)
        finally
            File.Delete temporary

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
