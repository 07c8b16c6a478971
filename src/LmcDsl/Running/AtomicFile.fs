namespace LmcDsl

open System
open System.IO

/// Files that are there whole or not at all: written under a temporary name, flushed to the disk, then moved.
[<RequireQualifiedAccess>]
module AtomicFile =

    /// Writes a new file and flushes it to the disk.
    let internal create (path: string) (write: Stream -> unit) =
        use stream = new FileStream(path, FileMode.CreateNew, FileAccess.Write)
        write stream
        stream.Flush(flushToDisk = true)

    /// Writes a file through `write`, replacing one of that name.
    let write (path: string) (write: Stream -> unit) =
        let full = Path.GetFullPath path
        (FileInfo full).Directory |> Option.ofObj |> Option.iter _.Create()
        let temporary = $"{full}.{Guid.NewGuid():N}.tmp"

        try
            create temporary write
            File.Move(temporary, path, overwrite = true)
        finally
            File.Delete temporary

    /// Writes text as UTF-8.
    let writeText (path: string) (text: string) =
        write path (fun stream -> stream.Write(System.Text.Encoding.UTF8.GetBytes text))
