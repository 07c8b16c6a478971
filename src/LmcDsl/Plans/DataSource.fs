namespace LmcDsl

open System
open System.IO
open System.IO.Compression
open System.Net.Http
open System.Security.Cryptography
open LmcDsl.Core.Data
open LmcDsl.Core.Runtime

/// Finds the files of a data set, checks them, and makes tensors of them. Looked for, in order: the folder `LMC_DATA`,
/// the system's data sets, the user's cache, the data set's own mirrors (what they give goes into the cache).
[<RequireQualifiedAccess>]
module DataSource =

    /// The user's cache of data sets.
    let cacheFolder () = Path.Combine(UserCache.Folder, "lmcdsl", "data")

    let private folders dataset =
        let name = DataSet.name dataset

        [
            match Environment.GetEnvironmentVariable "LMC_DATA" with
            | null
            | "" -> ()
            | folder -> Path.Combine(folder, name)
            Path.Combine("/usr/share/datasets", name)
            Path.Combine(cacheFolder (), name)
        ]
        |> List.collect (fun folder -> [ folder; Path.Combine(folder, $"{name}-batches-bin") ])
        |> List.filter (fun folder -> dataset = Cifar10 || not (folder.EndsWith "-batches-bin"))

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

    let private owner sha256 =
        DataSet.all
        |> List.tryPick (fun dataset ->
            DataSet.files dataset
            |> List.tryFind (fun file -> file.Sha256 = Some sha256)
            |> Option.map (fun file -> $"{DataSet.name dataset}/{file.Name}"))

    let private verified dataset (file: DataFile) (path: string) =
        let content = uncompressed 64_000_000 path

        match file.Sha256, Convert.ToHexStringLower(SHA256.HashData content) with
        | Some expected, found when found <> expected ->
            // A wrong magic number or a cut file has a reason of its own; a sound file of other content has not.
            Idx.Read(ReadOnlySpan content, path, (if file.Name.Contains "images" then 3 else 1)) |> ignore
            let what = owner found |> Option.map (fun name -> $" (that is {name})") |> Option.defaultValue ""
            let wanted = $"{DataSet.name dataset}/{file.Name} with SHA-256 {expected} uncompressed"
            raise (LmcException $"{path}: expected {wanted}, found {found}{what}")
        | _ -> content

    let private download (mirrors: string list) dataset (file: DataFile) =
        let folder = Path.Combine(cacheFolder (), DataSet.name dataset)
        let target = Path.Combine(folder, file.Name + ".gz")

        let attempt (client: HttpClient) (mirror: string) =
            try
                let bytes = client.GetByteArrayAsync(mirror + file.Name + ".gz").GetAwaiter().GetResult()
                Directory.CreateDirectory folder |> ignore
                let temporary = Path.Combine(folder, $"{file.Name}.{Guid.NewGuid():N}.tmp")

                try
                    File.WriteAllBytes(temporary, bytes)
                    verified dataset file temporary |> ignore
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
    let locateFrom (mirrors: string list) dataset : Result<string list, string> =
        let inFolder folder =
            let found = DataSet.files dataset |> List.map (tryFile folder)
            if List.forall Option.isSome found then Some(List.choose id found) else None

        match folders dataset |> List.tryPick inFolder with
        | Some paths -> Ok paths
        | None ->
            let fetched = DataSet.files dataset |> List.map (fun file -> lazy download mirrors dataset file)

            match
                fetched
                |> List.tryPick (fun f ->
                    match f.Value with
                    | Error reasons -> Some reasons
                    | Ok _ -> None)
            with
            | None -> Ok(fetched |> List.choose (fun f -> Result.toOption f.Value))
            | Some reasons ->
                let looked = String.Join(", ", folders dataset)
                let names = String.Join(", ", DataSet.files dataset |> List.map _.Name)

                let why =
                    if reasons.IsEmpty then
                        $"is not downloaded by itself (expected {names})"
                    else
                        $"""cannot be downloaded ({String.Join("; ", reasons)})"""

                Error $"{DataSet.name dataset} is not in {looked} and {why}"

    /// `locateFrom` with the data set's own mirrors.
    let locate dataset = locateFrom (DataSet.mirrors dataset) (DataSet.whole dataset)

    let private located dataset =
        match locate dataset with
        | Ok paths -> paths
        | Error reason -> raise (LmcException reason)

    let private hashes = Collections.Concurrent.ConcurrentDictionary<string * DateTime, string>()

    /// What identifies the content, for keys and provenance: the checksums of its files. Where copies differ from each
    /// other the files at hand are read.
    let identity (dataset: DataSet) : Json =
        let hashOf (path: string) =
            let read _ = Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes path))
            hashes.GetOrAdd((path, File.GetLastWriteTimeUtc path), read)

        let content =
            match DataSet.whole dataset with
            | Glyphs -> Json.Text LmcDsl.Core.Data.Glyphs.Version
            | Cifar10 ->
                match locate Cifar10 with
                | Ok paths -> Json.texts (List.map hashOf paths)
                | Error _ -> Json.Text "not found" // whoever reads it says so
            | _ -> Json.texts (DataSet.files dataset |> List.choose _.Sha256)

        Json.Object [ "name", Json.Text(DataSet.name dataset); "content", content ]

    /// Reads a data set into memory, checked and normalised. The caller disposes it.
    /// Raises `LmcException` where a file is missing, damaged, cut, or another than its name says.
    let rec load (dataset: DataSet) : ImageData =
        let contents () =
            let paths = located dataset
            List.zip paths (List.map2 (verified dataset) (DataSet.files dataset) paths)

        match dataset with
        | Part(whole, train, test) ->
            use all = load whole
            all.First(train, test)
        | Glyphs ->
            let struct (train, test) = LmcDsl.Core.Data.Glyphs.Draw()
            ImageData.Normalise(train, test, LmcDsl.Core.Data.Glyphs.Classes)
        | Cifar10 ->
            let files = contents () |> List.map (fun (path, content) -> struct (path, content))
            let read part = CifarBinary.Read(List.toArray part)
            ImageData.Normalise(read (List.take 5 files), read (List.skip 5 files), CifarBinary.Classes)
        | Mnist
        | FashionMnist ->
            let files = contents ()

            let images k =
                let (imagesPath, images), (labelsPath, labels) = files[k], files[k + 1]
                Idx.ReadImages(ReadOnlySpan images, imagesPath, ReadOnlySpan labels, labelsPath)

            ImageData.Normalise(images 0, images 2, DataSet.classes dataset)
