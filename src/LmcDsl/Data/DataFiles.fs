namespace LmcDsl

open System
open System.IO
open System.IO.Compression
open System.Net.Http
open System.Security.Cryptography
open LmcDsl.Core.Data
open LmcDsl.Core.Runtime

/// One file of a data set.
type DataFile =
    {
        /// Its name, without the ending of a compressed copy.
        Name: string
        /// SHA-256 of its uncompressed content, in hexadecimal, where all copies have the same.
        Sha256: string option
    }

/// The files of a data set that others publish.
type FileSet =
    {
        /// The data set's name, and that of the folder.
        Name: string
        /// The files, in the order in which they are read.
        Files: DataFile list
        /// Where the data set's makers, or their hosts, serve the files; each with a slash at its end.
        Mirrors: string list
        /// A folder within the folder in which usual copies have them.
        Within: string option
    }

/// Finds the files of published data sets and checks them. Looked for, in order: the folder `LMC_DATA`, the system's data sets, the user's
/// cache, the data set's own mirrors (what they give goes into the cache).
[<RequireQualifiedAccess>]
module DataFiles =

    /// The user's cache of data sets.
    let cacheFolder () = Path.Combine(UserCache.Folder, "lmcdsl", "data")

    let private folders (set: FileSet) =
        [
            match Environment.GetEnvironmentVariable "LMC_DATA" with
            | null
            | "" -> ()
            | folder -> Path.Combine(folder, set.Name)
            Path.Combine("/usr/share/datasets", set.Name)
            Path.Combine(cacheFolder (), set.Name)
        ]
        |> List.collect (fun folder ->
            folder :: (set.Within |> Option.toList |> List.map (fun inner -> Path.Combine(folder, inner))))

    let private tryFile (folder: string) (file: DataFile) =
        [ file.Name; file.Name + ".gz" ]
        |> List.map (fun name -> Path.Combine(folder, name))
        |> List.tryFind File.Exists

    /// The content of a file, uncompressed where it begins as gzip does. At most `limit` bytes are made of it.
    let private uncompressed (limit: int) (path: string) =
        use file = File.OpenRead path
        let isGzip = file.ReadByte() = 0x1f && file.ReadByte() = 0x8b
        file.Position <- 0L
        use source: Stream = if isGzip then new GZipStream(file, CompressionMode.Decompress) else file
        use content = new MemoryStream()
        let buffer: byte[] = Array.zeroCreate 81920

        try
            let mutable read = source.Read(buffer, 0, buffer.Length)

            while read > 0 && content.Length <= int64 limit do
                content.Write(buffer, 0, read)
                read <- source.Read(buffer, 0, buffer.Length)
        with :? InvalidDataException as error ->
            raise (LmcException($"{path}: expected gzip data, found a damaged or cut file: {error.Message}", error))

        if content.Length > int64 limit then
            raise (LmcException $"{path}: expected at most {limit} bytes of uncompressed data, found more")

        content.ToArray()

    // Which file of which data set of the library has that content.
    let private owner sha256 =
        Defined.all<FileSet> true
        |> List.tryPick (fun set ->
            set.Files
            |> List.tryFind (fun file -> file.Sha256 = Some sha256)
            |> Option.map (fun file -> $"{set.Name}/{file.Name}"))

    let private verified (set: FileSet) (file: DataFile) (path: string) =
        let content = uncompressed 64_000_000 path

        match file.Sha256, Convert.ToHexStringLower(SHA256.HashData content) with
        | Some expected, found when found <> expected ->
            // A wrong magic number or a cut file has a reason of its own; a sound file of other content has not.
            if file.Name.Contains "idx" then
                Idx.Read(ReadOnlySpan content, path, (if file.Name.Contains "images" then 3 else 1)) |> ignore

            let what = owner found |> Option.map (fun name -> $" (that is {name})") |> Option.defaultValue ""
            let wanted = $"{set.Name}/{file.Name} with SHA-256 {expected} uncompressed"
            raise (LmcException $"{path}: expected {wanted}, found {found}{what}")
        | _ -> content

    let private download (mirrors: string list) (set: FileSet) (file: DataFile) =
        let folder = Path.Combine(cacheFolder (), set.Name)
        // IDX files are served compressed, texts as they are.
        let served = if Path.HasExtension file.Name then file.Name else file.Name + ".gz"
        let target = Path.Combine(folder, served)

        let attempt (client: HttpClient) (mirror: string) =
            try
                let bytes = client.GetByteArrayAsync(mirror + served).GetAwaiter().GetResult()
                Directory.CreateDirectory folder |> ignore
                let temporary = Path.Combine(folder, $"{file.Name}.{Guid.NewGuid():N}.tmp")

                try
                    File.WriteAllBytes(temporary, bytes)
                    verified set file temporary |> ignore
                    File.Move(temporary, target, overwrite = true)
                    Ok target
                finally
                    File.Delete temporary
            with
            | :? HttpRequestException as error -> Error $"{Uri(mirror).Host}: {error.HttpRequestError}"
            | :? OperationCanceledException -> Error $"{Uri(mirror).Host}: no answer in time"
            | :? IOException
            | :? UnauthorizedAccessException
            | :? LmcException as error -> Error $"{Uri(mirror).Host}: {error.Message}"

        use handler = new SocketsHttpHandler(ConnectTimeout = TimeSpan.FromSeconds 10.0)
        use client = new HttpClient(handler, Timeout = TimeSpan.FromMinutes 5.0)

        (Error [], mirrors)
        ||> List.fold (fun state mirror ->
            match state with
            | Ok _ -> state
            | Error earlier -> attempt client mirror |> Result.mapError (fun reason -> earlier @ [ reason ]))

    /// Finds every file of a data set, downloading what is missing.
    /// Returns the paths, or one line that says what was tried.
    let locateFrom (mirrors: string list) (set: FileSet) : Result<string list, string> =
        let inFolder folder =
            let found = set.Files |> List.map (tryFile folder)
            if List.forall Option.isSome found then Some(List.choose id found) else None

        match folders set |> List.tryPick inFolder with
        | Some paths -> Ok paths
        | None ->
            let fetched = set.Files |> List.map (fun file -> lazy download mirrors set file)

            match
                fetched
                |> List.tryPick (fun f ->
                    match f.Value with
                    | Error reasons -> Some reasons
                    | Ok _ -> None)
            with
            | None -> Ok(fetched |> List.choose (fun f -> Result.toOption f.Value))
            | Some reasons ->
                let looked = String.Join(", ", folders set)
                let names = String.Join(", ", set.Files |> List.map _.Name)

                let why =
                    if reasons.IsEmpty then
                        $"is not downloaded by itself (expected {names})"
                    else
                        $"""cannot be downloaded ({String.Join("; ", reasons)})"""

                Error $"{set.Name} is not in {looked} and {why}"

    /// `locateFrom` with the data set's own mirrors.
    let locate (set: FileSet) = locateFrom set.Mirrors set

    /// Path and uncompressed content of each file, checked.
    /// Raises `LmcException` where a file is missing, damaged, cut, or another than its name says.
    let read (set: FileSet) : (string * byte[]) list =
        match locate set with
        | Ok paths -> List.map2 (fun path file -> path, verified set file path) paths set.Files
        | Error reason -> raise (LmcException reason)

    let private hashes = Collections.Concurrent.ConcurrentDictionary<string * DateTime, string>()

    /// SHA-256 of a file, in hexadecimal; read once while it stays as it is.
    let hashOf (path: string) : string =
        let read _ =
            use file = File.OpenRead path
            Convert.ToHexStringLower(SHA256.HashData file)

        hashes.GetOrAdd((Path.GetFullPath path, File.GetLastWriteTimeUtc path), read)

    /// What identifies the content: the checksums of its files. Where copies differ from each other the files at hand are read.
    let content (set: FileSet) () : Json =
        match set.Files |> List.map _.Sha256 with
        | known when List.forall Option.isSome known -> Json.texts (List.choose id known)
        | _ ->
            match locate set with
            | Ok paths -> Json.texts (List.map hashOf paths)
            | Error _ -> Json.Text "not found" // whoever reads it says so
