namespace LmcDsl

open System
open System.IO
open System.Security.Cryptography
open System.Text
open LmcDsl.Core.Runtime

/// What reading a value gave.
type Stored =
    /// The value's bytes; their checksum holds.
    | Intact of path: string * content: byte[]
    /// Nothing is stored under the key.
    | Absent
    /// Something is stored, but not what was written: the line says what was found. It has been taken away.
    | Damaged of string

/// Values on disk, each under the key of the step that made it, with a record of how it came about. A value is there
/// whole or not at all; its checksum is verified each time it is read. Several processes may use one store.
///
///     objects/ab/abcdef.../value.json | value.safetensors     what the step gave
///     objects/ab/abcdef.../record.json                        checksum and provenance
///     partial/abcdef...                                       where an unfinished step can go on
///     locks/abcdef...                                         held while a process makes the value
///     writing/                                                what is being written; left-overs are swept
type Store(root: string) =

    let folder = StoreFolder root
    let root = folder.Root
    let locks = StoreLocks folder

    let readRecord key : StoreRecord option =
        try
            StoreRecord.tryRead root (File.ReadAllText(folder.Record key))
        with
        | :? IOException
        | :? UnauthorizedAccessException -> None

    /// The store's folder.
    member _.Root = root

    /// Where unfinished steps stand.
    member val Partials = PartialValues folder

    /// Whether something is stored under a key. Reading it verifies it.
    member _.Contains(key: string) = UnixFile.Kind(folder.Record key) = FileKind.Regular

    /// Whether a name is a key: 64 hexadecimal digits. What else lies in a store is nobody's business.
    static member IsKey(name: string) : bool = name.Length = 64 && name |> Seq.forall Char.IsAsciiHexDigitLower

    /// The record of how a value came about, where one is stored.
    member this.Record(key: string) : Json option =
        if this.Contains key then readRecord key |> Option.map _.Fields else None

    /// Reads a value and verifies its checksum. What is damaged, or cannot be read for whatever reason, is taken away, so that it is made
    /// again.
    member this.Read(key: string) : Stored =
        if not (this.Contains key) then
            Absent
        else
            let damaged reason =
                folder.Remove key (folder.Object key)
                Damaged $"{folder.Object key}: {reason}; it is made again"

            match readRecord key |> Option.map (fun record -> record, StoreRecord.faultFor key record) with
            | None when not (this.Contains key) -> Absent
            | None -> damaged "expected a readable record, found a damaged one"
            | Some(_, Some fault) -> damaged fault
            | Some(record, None) ->
                let path = Path.Combine(folder.Object key, record.File)

                match UnixFile.Kind path with
                | FileKind.Regular ->
                    try
                        let content = File.ReadAllBytes path
                        let found = StoreRecord.sha256 content

                        if found = record.Sha256 then
                            Intact(path, content)
                        else
                            damaged $"expected {record.File} with SHA-256 {record.Sha256}, found {found}"
                    with
                    | :? IOException
                    | :? UnauthorizedAccessException when not (this.Contains key) -> Absent // another process took it away
                    | :? IOException
                    | :? UnauthorizedAccessException as error ->
                        damaged $"{record.File} cannot be read: {error.Message}"
                | _ when not (this.Contains key) -> Absent
                | FileKind.None -> damaged $"expected {record.File}, found no such file"
                | kind -> damaged (StoreFolder.Expected $"{record.File}, a file" kind)

    /// Makes sure, before the work, that a key's value can be written, and where its step stands. What lies in the way is taken away; a
    /// line for each.
    member _.Prepare(key: string) : string list =
        let prefix = folder.Prefix key

        let inTheWay =
            [
                for path, what, kinds in
                    [
                        prefix, "a folder", [ FileKind.Folder; FileKind.Link ]
                        folder.Object key, "a folder", [ FileKind.Folder ]
                        folder.Partial key, "a file", [ FileKind.Regular ]
                    ] do
                    let kind = StoreFolder.KindOf path

                    // A prefix may be a link to a folder elsewhere, and nothing else.
                    let fits = kind <> FileKind.Link || UnixFile.Kind path = FileKind.Folder

                    if kind <> FileKind.None && not (fits && List.contains kind kinds) then
                        folder.Remove key path
                        $"{path}: {StoreFolder.Expected what kind}; it is taken away"
            ]

        for needed in [ prefix; folder.Partials ] do
            Directory.CreateDirectory needed |> ignore

        // A folder that cannot be written to is told now.
        for needed in [ folder.Writing; prefix; folder.Partials ] do
            AtomicFile.ready (Path.Combine(needed, $"{key}.ready"))

        inTheWay

    // Moves a value and its record into their place, both or neither.
    member private this.Place(key: string, file: string, content: byte[], record: byte[]) : unit =
        if not (this.Contains key) then
            let draft = folder.Draft key
            Directory.CreateDirectory draft |> ignore
            use _ = Unfinished.undoneBy (fun () -> StoreFolder.Bury draft)

            try
                AtomicFile.create (Path.Combine(draft, file)) (fun stream -> stream.Write(content, 0, content.Length))

                AtomicFile.create (Path.Combine(draft, "record.json")) (fun stream ->
                    stream.Write(record, 0, record.Length))

                Directory.CreateDirectory(folder.Prefix key) |> ignore

                if StoreFolder.KindOf(folder.Object key) <> FileKind.None then
                    folder.Remove key (folder.Object key) // without a record: the remains of something else

                Directory.Move(draft, folder.Object key)
            finally
                if Directory.Exists draft then
                    Directory.Delete(draft, recursive = true)

    /// Stores a value under its key. `record` becomes part of its record. Does nothing where the key has a value.
    member this.Write(key: string, file: string, content: byte[], record: (string * Json) list) : unit =
        if not (this.Contains key) then
            this.Place(key, file, content, Encoding.UTF8.GetBytes(StoreRecord.write key file content record))

    /// Takes a value over with its record, as another store wrote them and `StoreRecord.check` found them. Does nothing where the key has a
    /// value.
    member internal this.TakeOver(read: StoreRecord, record: byte[], content: byte[]) : unit =
        this.Place(read.Key, read.File, content, record)

    /// A record's bytes, where the key has a value.
    member internal this.RecordBytes(key: string) : byte[] option =
        if this.Contains key then Some(File.ReadAllBytes(folder.Record key)) else None

    /// Takes the right to make a value, waiting while another process has it. `waiting` is called once if it must wait.
    /// The system gives the right back when a process dies.
    member _.Lock(key: string, waiting: unit -> unit, cancel: Threading.CancellationToken) : Right =
        locks.Take(key, waiting, cancel)

    /// Sweeps what killed writers of this key left behind. Call it while holding the key's lock.
    member _.Sweep(key: string) : unit =
        AtomicFile.sweep folder.Partials (key + ".") |> ignore

        if Directory.Exists folder.Writing then
            for left in Directory.GetFileSystemEntries(folder.Writing, key + ".*") do
                StoreFolder.Bury left

    /// The keys that have a value, in order.
    member this.Keys: string seq =
        let objects = Path.Combine(root, "objects")

        let namesIn (folder: string) =
            Directory.EnumerateDirectories folder |> Seq.map (fun path -> string (Path.GetFileName path))

        if Directory.Exists objects then
            namesIn objects
            |> Seq.filter (fun prefix -> prefix.Length = 2 && Seq.forall Char.IsAsciiHexDigitLower prefix)
            |> Seq.collect (fun prefix ->
                namesIn (Path.Combine(objects, prefix))
                |> Seq.filter (fun name -> Store.IsKey name && name.StartsWith(prefix, StringComparison.Ordinal)))
            |> Seq.filter this.Contains
            |> Seq.sort
        else
            Seq.empty

    /// Removes what no process can still need: what killed writers left, and where steps stood that are finished. What a process is at
    /// work on has its lock, and is left alone. Returns how many things were removed.
    member this.Clean() : int =
        let names (folder: string) list =
            if Directory.Exists folder then
                list folder
                |> Array.map (fun path -> path, FileInfo(path).Name.Split('.').[0])
                |> Array.filter (snd >> Store.IsKey)
            else
                [||]

        let ifNobodyIsAtIt (key: string) (work: unit -> unit) =
            match locks.TryTake key with
            | Some right ->
                use _ = right
                work ()
                true
            | None -> false

        let drafts =
            names folder.Writing Directory.GetFileSystemEntries
            |> Array.filter (fun (path, key) -> ifNobodyIsAtIt key (fun () -> StoreFolder.Bury path))

        let finished =
            names folder.Partials Directory.GetFiles
            |> Array.filter (fun (path, key) ->
                FileInfo(path).Name = key && this.Contains key && ifNobodyIsAtIt key (fun () -> File.Delete path))

        let locks = names folder.Locks Directory.GetFiles |> Array.filter (fun (_, key) -> ifNobodyIsAtIt key ignore)

        drafts.Length + finished.Length + locks.Length + AtomicFile.sweep folder.Partials ""

    /// Opens a store, making its folder where there is none.
    /// Raises `LmcException` where the folder cannot be made.
    static member Open(root: string) : Store =
        try
            Directory.CreateDirectory root |> ignore
            Store root
        with
        | :? IOException
        | :? UnauthorizedAccessException as error ->
            raise (LmcException($"store: expected a folder that can be written, found {root}: {error.Message}", error))
