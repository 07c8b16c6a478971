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

/// The right to make a value, until it is disposed. The system gives it back when the process dies.
type Right internal (stream: FileStream, path: string) =

    let unfinished = Unfinished.undoneBy (fun () -> File.Delete path)

    let left =
        let text = Array.zeroCreate<byte> 1000
        let count = stream.ReadAtLeast(Span text, text.Length, throwOnEndOfStream = false)
        Encoding.UTF8.GetString(text, 0, count).Trim()

    /// What the last one who had this right said it was at, where it ended without giving it back: killed, or by a crash.
    member _.Left: string option = if left = "" then None else Some left

    /// Says what is at work, for whoever has the right next.
    member _.Note(what: string) : unit =
        if stream.CanWrite then
            stream.SetLength 0L
            stream.Write(ReadOnlySpan(Encoding.UTF8.GetBytes what))
            stream.Flush()

    interface IDisposable with
        /// Gives it back. Whoever takes it after this looks first whether the value is there.
        member _.Dispose() =
            try
                File.Delete path
            with
            | :? IOException
            | :? UnauthorizedAccessException -> () // another user's, in a folder where only owners take names away

            stream.Dispose()
            unfinished.Dispose()

/// Values on disk, each under the key of the step that made it, with a record of how it came about. A value is there
/// whole or not at all; its checksum is verified each time it is read. Several processes may use one store.
///
///     objects/ab/abcdef.../value.json | value.safetensors     what the step gave
///     objects/ab/abcdef.../record.json                        checksum and provenance
///     partial/abcdef...                                       where an unfinished step can go on
///     locks/abcdef...                                         held while a process makes the value
///     writing/                                                what is being written; left-overs are swept
type Store(root: string) =

    let root = Path.GetFullPath root
    let objectFolder (key: string) = Path.Combine(root, "objects", key.Substring(0, 2), key)
    let recordPath key = Path.Combine(objectFolder key, "record.json")
    let partialFolder = Path.Combine(root, "partial")
    let partialPath key = Path.Combine(partialFolder, key)
    let locksFolder = Path.Combine(root, "locks")
    let lockPath key = Path.Combine(locksFolder, key)
    let writingFolder = Path.Combine(root, "writing")

    // What may be in a value's place: what lies there is of another kind.
    let expected what (kind: FileKind) =
        let found =
            match kind with
            | FileKind.Folder -> "a folder"
            | FileKind.Regular -> "a file"
            | FileKind.Link -> "a link"
            | FileKind.None -> "nothing"
            | _ -> "a device or a pipe"

        $"expected {what}, found {found}"

    let kindOf (path: string) = UnixFile.Look(path, follow = false).Kind

    let bury (path: string) =
        try
            if kindOf path = FileKind.Folder then
                Directory.Delete(path, recursive = true)
            else
                File.Delete path
        with
        | :? DirectoryNotFoundException
        | :? FileNotFoundException -> () // another process was faster

    // Takes away whatever lies under a name; nothing where another process was faster.
    let remove (key: string) (path: string) =
        Directory.CreateDirectory writingFolder |> ignore
        let grave = Path.Combine(writingFolder, $"{key}.{Guid.NewGuid():N}")

        if UnixFile.Rename(path, grave) then
            bury grave

    // The right to make a value, if no other process has it.
    let tryLock (key: string) : Right option =
        Directory.CreateDirectory locksFolder |> ignore
        let path = lockPath key

        // Another user's lock may be readable only: that is enough to see whether it is held, and to hold it.
        let openLock () =
            match kindOf path with
            | FileKind.None
            | FileKind.Regular -> ()
            | _ -> remove key path

            try
                new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None)
            with :? UnauthorizedAccessException when kindOf path = FileKind.Regular ->
                new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.None)

        // The file may be gone between the refusal and the look at it, once or twice; not for ever.
        let rec attempt tries =
            try
                Some(openLock ())
            with :? IOException when tries > 0 ->
                if File.Exists path then None else attempt (tries - 1)

        attempt 20 |> Option.map (fun stream -> new Right(stream, path))

    let readRecord key : StoreRecord option =
        try
            StoreRecord.tryRead root (File.ReadAllText(recordPath key))
        with
        | :? IOException
        | :? UnauthorizedAccessException -> None

    // What begins a partial, within what its checksum is of.
    let partialHeader (key: string) = Encoding.ASCII.GetBytes $"lmcdsl partial 2 {key}\n"

    /// The store's folder.
    member _.Root = root

    /// Whether something is stored under a key. Reading it verifies it.
    member _.Contains(key: string) = UnixFile.Kind(recordPath key) = FileKind.Regular

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
                remove key (objectFolder key)
                Damaged $"{objectFolder key}: {reason}; it is made again"

            match readRecord key |> Option.map (fun record -> record, StoreRecord.faultFor key record) with
            | None when not (this.Contains key) -> Absent
            | None -> damaged "expected a readable record, found a damaged one"
            | Some(_, Some fault) -> damaged fault
            | Some(record, None) ->
                let path = Path.Combine(objectFolder key, record.File)

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
                | kind -> damaged (expected $"{record.File}, a file" kind)

    /// Makes sure, before the work, that a key's value can be written, and where its step stands. What lies in the way is taken away; a
    /// line for each.
    member _.Prepare(key: string) : string list =
        let prefix = Path.Combine(root, "objects", key.Substring(0, 2))

        let inTheWay =
            [
                for path, what, kinds in
                    [
                        prefix, "a folder", [ FileKind.Folder; FileKind.Link ]
                        objectFolder key, "a folder", [ FileKind.Folder ]
                        partialPath key, "a file", [ FileKind.Regular ]
                    ] do
                    let kind = kindOf path

                    // A prefix may be a link to a folder elsewhere, and nothing else.
                    let fits = kind <> FileKind.Link || UnixFile.Kind path = FileKind.Folder

                    if kind <> FileKind.None && not (fits && List.contains kind kinds) then
                        remove key path
                        $"{path}: {expected what kind}; it is taken away"
            ]

        for folder in [ prefix; partialFolder ] do
            Directory.CreateDirectory folder |> ignore

        // A folder that cannot be written to is told now.
        for folder in [ writingFolder; prefix; partialFolder ] do
            AtomicFile.ready (Path.Combine(folder, $"{key}.ready"))

        inTheWay

    // Moves a value and its record into their place, both or neither.
    member private this.Place(key: string, file: string, content: byte[], record: byte[]) : unit =
        if not (this.Contains key) then
            let draft = Path.Combine(writingFolder, $"{key}.{Guid.NewGuid():N}")
            Directory.CreateDirectory draft |> ignore
            use _ = Unfinished.undoneBy (fun () -> bury draft)

            try
                AtomicFile.create (Path.Combine(draft, file)) (fun stream -> stream.Write(content, 0, content.Length))

                AtomicFile.create (Path.Combine(draft, "record.json")) (fun stream ->
                    stream.Write(record, 0, record.Length))

                Directory.CreateDirectory(Path.Combine(root, "objects", key.Substring(0, 2))) |> ignore

                if kindOf (objectFolder key) <> FileKind.None then
                    remove key (objectFolder key) // without a record: the remains of something else

                Directory.Move(draft, objectFolder key)
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
        if this.Contains key then Some(File.ReadAllBytes(recordPath key)) else None

    /// Keeps where an unfinished step stands, replacing what was kept before. Its checksum is of the key as well.
    member _.WritePartial(key: string, content: byte[]) : unit =
        let kept = Array.append (partialHeader key) content

        AtomicFile.write (partialPath key) (fun stream ->
            stream.Write(SHA256.HashData kept, 0, 32)
            stream.Write(kept, 0, kept.Length))

    /// Where an unfinished step stood. What is damaged, of another key or of another format is told and taken away: it counts as nothing.
    member _.ReadPartial(key: string, tell: string -> unit) : byte[] option =
        let path = partialPath key

        let nothing (reason: string) =
            remove key path
            tell $"{path}: {reason}; the step begins anew"
            None

        match UnixFile.Kind path with
        | FileKind.None -> None
        | FileKind.Regular ->
            try
                let kept = File.ReadAllBytes path
                let header = partialHeader key
                let body = kept.AsSpan(min 32 kept.Length)
                let holds = ReadOnlySpan(SHA256.HashData body).SequenceEqual(ReadOnlySpan(kept, 0, min 32 kept.Length))
                let isOurs = body.StartsWith(ReadOnlySpan header)
                let isPartial = body.StartsWith "lmcdsl partial "B

                match holds, isOurs, isPartial with
                | false, _, _ -> nothing "expected what its checksum is of, found something else"
                | true, true, _ -> Some(body.Slice(header.Length).ToArray())
                | true, false, true -> nothing "expected an unfinished step of this key, found another's"
                | true, false, false -> nothing "expected an unfinished step with its key, found one of an older format"
            with
            | :? IOException
            | :? UnauthorizedAccessException as error -> nothing $"it cannot be read: {error.Message}"
        | kind -> nothing (expected "a file" kind)

    /// The same, told to nobody.
    member this.ReadPartial(key: string) : byte[] option = this.ReadPartial(key, ignore)

    /// Forgets where a step stood, once it is finished.
    member _.RemovePartial(key: string) : unit =
        match kindOf (partialPath key) with
        | FileKind.None -> ()
        | FileKind.Regular -> File.Delete(partialPath key)
        | _ -> remove key (partialPath key)

    /// Takes the right to make a value, waiting while another process has it. `waiting` is called once if it must wait.
    /// The system gives the right back when a process dies.
    member _.Lock(key: string, waiting: unit -> unit, cancel: Threading.CancellationToken) : Right =
        let rec acquire told =
            match tryLock key with
            | Some right -> right
            | None ->
                if not told then
                    waiting ()

                cancel.WaitHandle.WaitOne 200 |> ignore
                cancel.ThrowIfCancellationRequested()
                acquire true

        acquire false

    /// Sweeps what killed writers of this key left behind. Call it while holding the key's lock.
    member _.Sweep(key: string) : unit =
        AtomicFile.sweep partialFolder (key + ".") |> ignore

        if Directory.Exists writingFolder then
            for left in Directory.GetFileSystemEntries(writingFolder, key + ".*") do
                bury left

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
            match tryLock key with
            | Some right ->
                use _ = right
                work ()
                true
            | None -> false

        let drafts =
            names writingFolder Directory.GetFileSystemEntries
            |> Array.filter (fun (path, key) -> ifNobodyIsAtIt key (fun () -> bury path))

        let finished =
            names partialFolder Directory.GetFiles
            |> Array.filter (fun (path, key) ->
                FileInfo(path).Name = key && this.Contains key && ifNobodyIsAtIt key (fun () -> File.Delete path))

        let locks = names locksFolder Directory.GetFiles |> Array.filter (fun (_, key) -> ifNobodyIsAtIt key ignore)

        drafts.Length + finished.Length + locks.Length + AtomicFile.sweep partialFolder ""

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
