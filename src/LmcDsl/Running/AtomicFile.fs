namespace LmcDsl

open System
open System.IO
open System.Runtime.InteropServices
open System.Text.RegularExpressions
open Microsoft.Win32.SafeHandles
open LmcDsl.Core.Runtime

/// Files that are there whole or not at all: written under a temporary name, flushed to the disk, then moved. A writer holds its temporary
/// file until it has its name; the system lets go of it when the writer dies, so that left-overs can be told from work, whatever the clock says.
[<RequireQualifiedAccess>]
module AtomicFile =

    // Another process holds the file: EAGAIN, or Windows' sharing violation.
    let private wouldBlock =
        if OperatingSystem.IsWindows() then 0x80070020
        elif OperatingSystem.IsMacOS() then 35
        else 11

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
        use _ = Unfinished.undoneBy (fun () -> File.Delete temporary)

        // Windows names no file that is open: there it gets its name when the writer has let go of it.
        let publish (stream: FileStream) =
            if not (OperatingSystem.IsWindows()) then
                flock (stream.SafeFileHandle, shared) |> ignore
                File.Move(temporary, full, overwrite = true)

        try
            try
                createAnd publish temporary write

                if OperatingSystem.IsWindows() then
                    File.Move(temporary, full, overwrite = true)
            finally
                File.Delete temporary
        with
        | :? FileNotFoundException when tries > 0 -> attempt full write (tries - 1)
        | :? IOException as error when error.HResult = wouldBlock && tries > 0 -> attempt full write (tries - 1)

    /// Removes what writers that were killed left in a folder, of files whose names begin so. Returns how many files were removed.
    let sweep (folder: string) (start: string) : int =
        let removed (path: string) =
            try
                use _ = new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None)
                File.Delete path
                true
            with
            | :? FileNotFoundException
            | :? UnauthorizedAccessException -> false // gone, or another user's
            | :? IOException as error when error.HResult = wouldBlock -> false // someone is at work on it

        if Directory.Exists folder then
            // Names may hold what a pattern would take for a wildcard.
            Directory.GetFiles(folder, "*.tmp")
            |> Array.filter (fun path ->
                FileInfo(path).Name.StartsWith(start, StringComparison.Ordinal)
                && temporaryName.IsMatch path
                && removed path)
            |> Array.length
        else
            0

    // The file that a name leads to, and whether it is one that can be replaced: a device, a pipe or an open file of a process cannot.
    let private followed (path: string) : string * bool =
        let full = Path.GetFullPath path

        let target =
            match UnixFile.Look(full, follow = false).Kind with
            | FileKind.Link ->
                match File.ResolveLinkTarget(full, returnFinalTarget = true) with
                | null -> full
                | target -> target.FullName
            | _ -> full

        let isOfSystem =
            [ full; target ] |> List.exists (fun name -> name.StartsWith "/dev/" || name.StartsWith "/proc/")

        match UnixFile.Kind full with
        | FileKind.Folder -> raise (IOException $"{full}: expected a file, found a folder")
        | FileKind.Other -> full, false
        | FileKind.Regular when isOfSystem -> full, false
        | _ -> target, true

    let private writeInto (path: string) (write: Stream -> unit) =
        use content = new MemoryStream()
        write content
        use stream = new FileStream(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite, 1)
        content.WriteTo stream

    let private inFolderOf (full: string) (work: string -> string -> 'a) : 'a =
        match (FileInfo full).Directory with
        | null -> raise (IOException $"{full}: expected a file, found a folder")
        | folder ->
            folder.Create()
            work folder.FullName (FileInfo(full).Name)

    /// Writes a file through `write`, which may be called again, replacing one of that name. A link is followed; what is no regular file
    /// is written into. What killed writers of this file left is swept.
    let write (path: string) (write: Stream -> unit) =
        match followed path with
        | full, false -> writeInto full write
        | full, true ->
            inFolderOf full (fun folder name -> sweep folder (name + ".") |> ignore)
            attempt full write 20

    /// Makes sure, before the work whose result is to be written there, that a file can be written.
    let ready (path: string) : unit =
        match followed path with
        | _, false -> () // a pipe's reader would take the attempt for all of it
        | full, true ->
            inFolderOf full (fun folder _ ->
                use _ =
                    new FileStream(
                        Path.Combine(folder, $".{Guid.NewGuid():N}.tmp"),
                        FileMode.CreateNew,
                        FileAccess.Write,
                        FileShare.None,
                        1,
                        FileOptions.DeleteOnClose
                    )

                ())

    /// Writes text as UTF-8.
    let writeText (path: string) (text: string) =
        write path (fun stream -> stream.Write(Text.Encoding.UTF8.GetBytes text))
