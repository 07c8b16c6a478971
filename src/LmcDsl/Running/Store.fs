namespace LmcDsl

open System
open System.IO
open System.Security.Cryptography
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

    let root = Path.GetFullPath root
    let objectFolder (key: string) = Path.Combine(root, "objects", key.Substring(0, 2), key)
    let recordPath key = Path.Combine(objectFolder key, "record.json")
    let partialFolder = Path.Combine(root, "partial")
    let partialPath key = Path.Combine(partialFolder, key)
    let locksFolder = Path.Combine(root, "locks")
    let lockPath key = Path.Combine(locksFolder, key)
    let writingFolder = Path.Combine(root, "writing")

    let sha256 (content: byte[]) = Convert.ToHexStringLower(SHA256.HashData content)

    let bury (folder: string) =
        try
            Directory.Delete(folder, recursive = true)
        with
        | :? DirectoryNotFoundException
        | :? FileNotFoundException -> () // another process was faster

    let remove (folder: string) =
        Directory.CreateDirectory writingFolder |> ignore
        let grave = Path.Combine(writingFolder, $"{FileInfo(folder).Name}.{Guid.NewGuid():N}")

        try
            Directory.Move(folder, grave)
            bury grave
        with :? DirectoryNotFoundException ->
            () // another process was faster

    // The right to make a value, if no other process has it.
    let tryLock (key: string) : IDisposable option =
        Directory.CreateDirectory locksFolder |> ignore

        // The file may be gone between the refusal and the look at it, once or twice; not for ever.
        let rec attempt tries =
            try
                Some(new FileStream(lockPath key, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None))
            with :? IOException when tries > 0 ->
                if File.Exists(lockPath key) then None else attempt (tries - 1)

        attempt 20
        |> Option.map (fun stream ->
            { new IDisposable with
                member _.Dispose() =
                    // Whoever takes the right after this looks first whether the value is there.
                    File.Delete(lockPath key)
                    stream.Dispose()
            })

    let readRecord key =
        try
            let record = Json.parse (File.ReadAllText(recordPath key))
            Some(record, record["key"].String, record["file"].String, record["sha256"].String)
        with
        | :? LmcException
        | :? FileNotFoundException
        | :? DirectoryNotFoundException -> None

    /// The store's folder.
    member _.Root = root

    /// Whether something is stored under a key. Reading it verifies it.
    member _.Contains(key: string) = File.Exists(recordPath key)

    /// The record of how a value came about, where one is stored.
    member this.Record(key: string) : Json option =
        if this.Contains key then
            readRecord key |> Option.map (fun (record, _, _, _) -> record)
        else
            None

    /// Reads a value and verifies its checksum. What is damaged is taken away, so that it is made again.
    member this.Read(key: string) : Stored =
        if not (this.Contains key) then
            Absent
        else
            let damaged reason =
                remove (objectFolder key)
                Damaged $"{objectFolder key}: {reason}; it is made again"

            match readRecord key with
            | None when not (this.Contains key) -> Absent
            | None -> damaged "expected a readable record, found a damaged one"
            | Some(_, owner, _, _) when owner <> key -> damaged "expected a record of this key, found another's"
            | Some(_, _, file, checksum) ->
                let path = Path.Combine(objectFolder key, FileInfo(file).Name)

                try
                    let content = File.ReadAllBytes path
                    let found = sha256 content

                    if found = checksum then
                        Intact(path, content)
                    else
                        damaged $"expected {file} with SHA-256 {checksum}, found {found}"
                with
                | :? FileNotFoundException
                | :? DirectoryNotFoundException when not (this.Contains key) -> Absent // another process took it away
                | :? FileNotFoundException
                | :? DirectoryNotFoundException -> damaged $"expected {file}, found no such file"

    /// Stores a value under its key. `record` becomes part of its record. Does nothing where the key has a value.
    member this.Write(key: string, file: string, content: byte[], record: (string * Json) list) : unit =
        if not (this.Contains key) then
            let draft = Path.Combine(writingFolder, $"{key}.{Guid.NewGuid():N}")
            Directory.CreateDirectory draft |> ignore

            try
                AtomicFile.create (Path.Combine(draft, file)) (fun stream -> stream.Write(content, 0, content.Length))

                let fields =
                    [
                        "key", Json.Text key
                        "file", Json.Text file
                        "sha256", Json.Text(sha256 content)
                        "bytes", Json.int content.LongLength
                    ]
                    @ record

                let text = Json.indented (Json.Object fields)

                AtomicFile.create (Path.Combine(draft, "record.json")) (fun stream ->
                    stream.Write(System.Text.Encoding.UTF8.GetBytes text))

                Directory.CreateDirectory(Path.Combine(root, "objects", key.Substring(0, 2))) |> ignore

                if Directory.Exists(objectFolder key) then
                    remove (objectFolder key) // without a record: the remains of something else

                Directory.Move(draft, objectFolder key)
            finally
                if Directory.Exists draft then
                    Directory.Delete(draft, recursive = true)

    /// Keeps where an unfinished step stands, replacing what was kept before.
    member _.WritePartial(key: string, content: byte[]) : unit =
        AtomicFile.write (partialPath key) (fun stream ->
            stream.Write(SHA256.HashData content, 0, 32)
            stream.Write(content, 0, content.Length))

    /// Where an unfinished step stood. What is damaged counts as nothing.
    member _.ReadPartial(key: string) : byte[] option =
        if not (File.Exists(partialPath key)) then
            None
        else
            let kept = File.ReadAllBytes(partialPath key)

            if kept.Length < 32 then
                None
            else
                let content = kept[32..]
                let holds = ReadOnlySpan(SHA256.HashData content).SequenceEqual(ReadOnlySpan(kept, 0, 32))
                if holds then Some content else None

    /// Forgets where a step stood, once it is finished.
    member _.RemovePartial(key: string) : unit =
        if File.Exists(partialPath key) then
            File.Delete(partialPath key)

    /// Takes the right to make a value, waiting while another process has it. `waiting` is called once if it must wait.
    /// The system gives the right back when a process dies.
    member _.Lock(key: string, waiting: unit -> unit, cancel: Threading.CancellationToken) : IDisposable =
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
            for folder in Directory.GetDirectories(writingFolder, key + ".*") do
                bury folder

    /// The keys that have a value, in order.
    member _.Keys: string seq =
        let objects = Path.Combine(root, "objects")

        if Directory.Exists objects then
            Directory.EnumerateDirectories objects
            |> Seq.collect Directory.EnumerateDirectories
            |> Seq.map (fun folder -> FileInfo(folder).Name)
            |> Seq.filter (recordPath >> File.Exists)
            |> Seq.sort
        else
            Seq.empty

    /// Removes what no process can still need: what killed writers left, and where steps stood that are finished. What a process is at
    /// work on has its lock, and is left alone. Returns how many things were removed.
    member this.Clean() : int =
        let names (folder: string) list =
            if Directory.Exists folder then
                list folder |> Array.map (fun path -> path, FileInfo(path).Name.Split('.').[0])
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
            names writingFolder Directory.GetDirectories
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
