namespace LmcDsl

open System
open System.IO
open System.Text.RegularExpressions
open LmcDsl.Core.Runtime

/// Folders that are there whole or not at all: filled under a temporary name beside their place, then moved. A file in the temporary folder is
/// held until then, so that what killed writers left can be told from work.
[<RequireQualifiedAccess>]
module AtomicFolder =

    [<Literal>]
    let private Held = ".at-work"

    // The folder above and the folder's own name, whether the path ends in a slash or not.
    let private place (path: string) : string * string =
        let full = Path.TrimEndingDirectorySeparator(Path.GetFullPath path)

        match Path.GetDirectoryName full with
        | null -> raise (IOException $"{path}: expected a folder below the root of all files")
        | above -> above, DirectoryInfo(full).Name

    /// Removes what writers of this folder that were killed left beside it. Returns how many folders were removed.
    let sweep (path: string) : int =
        let above, name = place path
        let left = Regex $@"^\.{Regex.Escape name}\.[0-9a-f]{{32}}\.tmp$"

        let removed (folder: string) =
            try
                use _ = new FileStream(Path.Combine(folder, Held), FileMode.Open, FileAccess.ReadWrite, FileShare.None)

                Directory.Delete(folder, recursive = true)
                true
            with
            | :? IOException // someone is at work on it, or it is gone
            | :? UnauthorizedAccessException -> false

        if Directory.Exists above then
            Directory.GetDirectories(above, ".*.tmp")
            |> Array.filter (fun folder -> left.IsMatch(DirectoryInfo(folder).Name) && removed folder)
            |> Array.length
        else
            0

    /// Makes sure, before the work whose result is to be written there, that a folder can be made: nothing is there, or an empty folder.
    let ready (path: string) : unit =
        let above, name = place path
        let full = Path.Combine(above, name)

        match UnixFile.Look(full, follow = false).Kind with
        | FileKind.None -> ()
        | FileKind.Folder when Seq.isEmpty (Directory.EnumerateFileSystemEntries full) -> ()
        | FileKind.Folder ->
            raise (IOException $"{path}: expected a new folder, or an empty one, found one that holds files")
        | _ -> raise (IOException $"{path}: expected a new folder, or an empty one, found something else of that name")

        Directory.CreateDirectory above |> ignore
        let trial = Path.Combine(above, $".{Guid.NewGuid():N}.tmp")
        Directory.CreateDirectory trial |> ignore
        Directory.Delete trial

    /// Writes a folder through `fill`, which is given the folder to write into.
    let write (path: string) (fill: string -> unit) : unit =
        ready path
        sweep path |> ignore
        let above, name = place path
        let full = Path.Combine(above, name)
        let temporary = Path.Combine(above, $".{name}.{Guid.NewGuid():N}.tmp")

        let undo () =
            if Directory.Exists temporary then
                Directory.Delete(temporary, recursive = true)

        use _ = Unfinished.undoneBy undo

        try
            Directory.CreateDirectory temporary |> ignore

            (use _ =
                new FileStream(
                    Path.Combine(temporary, Held),
                    FileMode.CreateNew,
                    FileAccess.Write,
                    FileShare.None,
                    1,
                    FileOptions.DeleteOnClose
                )

             fill temporary)

            if OperatingSystem.IsWindows() && Directory.Exists full then
                Directory.Delete full

            // In the place of an empty folder too, as .NET's own move does not.
            UnixFile.Rename(temporary, full) |> ignore
        finally
            undo ()
