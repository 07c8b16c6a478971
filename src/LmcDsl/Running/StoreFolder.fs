namespace LmcDsl

open System
open System.IO
open LmcDsl.Core.Runtime

/// Where things lie in a store's folder (see `Store`), and how what lies in the way is taken away.
type internal StoreFolder(root: string) =

    let root = Path.GetFullPath root
    let writing = Path.Combine(root, "writing")

    static let kindOf (path: string) = UnixFile.Look(path, follow = false).Kind

    member _.Root = root
    member _.Prefix(key: string) = Path.Combine(root, "objects", key.Substring(0, 2))
    member this.Object(key: string) = Path.Combine(this.Prefix key, key)
    member this.Record(key: string) = Path.Combine(this.Object key, "record.json")
    member _.Partials = Path.Combine(root, "partial")
    member this.Partial(key: string) = Path.Combine(this.Partials, key)
    member _.Locks = Path.Combine(root, "locks")
    member this.Lock(key: string) = Path.Combine(this.Locks, key)
    member _.Writing = writing

    /// A name for a draft, or for what is taken away, that no other process has.
    member _.Draft(key: string) = Path.Combine(writing, $"{key}.{Guid.NewGuid():N}")

    /// What kind of thing a path is itself; a link is a link.
    static member KindOf(path: string) : FileKind = kindOf path

    /// What may be in a value's place, and that what lies there is of another kind.
    static member Expected (what: string) (kind: FileKind) : string =
        let found =
            match kind with
            | FileKind.Folder -> "a folder"
            | FileKind.Regular -> "a file"
            | FileKind.Link -> "a link"
            | FileKind.None -> "nothing"
            | _ -> "a device or a pipe"

        $"expected {what}, found {found}"

    /// Deletes a file, or a folder with all that is in it; nothing where another process was faster.
    static member Bury(path: string) : unit =
        try
            if kindOf path = FileKind.Folder then
                Directory.Delete(path, recursive = true)
            else
                File.Delete path
        with
        | :? DirectoryNotFoundException
        | :? FileNotFoundException -> ()

    /// Takes away whatever lies under a name, at once; nothing where another process was faster.
    member this.Remove (key: string) (path: string) : unit =
        Directory.CreateDirectory writing |> ignore
        let grave = this.Draft key

        if UnixFile.Rename(path, grave) then
            StoreFolder.Bury grave
