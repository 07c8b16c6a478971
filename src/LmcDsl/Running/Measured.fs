namespace LmcDsl

open System
open System.IO
open System.IO.Compression
open LmcDsl.Core.Runtime

/// What a store holds of measurements, as one archive: enough to make an experiment's tables and figures again, or to go on with it on
/// another machine, without its models; reports, which only put measurements together, are made anew. A ZIP file of `KEY/record.json` and `KEY/value.json` as they lie in the store, in the order of
/// keys; of the same values the same bytes.
[<RequireQualifiedAccess>]
module Measured =

    // Values are text of some kilobytes; what a file says of more is not believed.
    let private most = 64L * 1024L * 1024L

    // The same for every entry: when it was packed is nobody's business, and ZIP knows no time before 1980.
    let private time = DateTimeOffset(1980, 1, 1, 0, 0, 0, TimeSpan.Zero)

    let private recordName = "record.json"
    let private valueName = "value.json"

    // Measurements are all that is neither a model nor what a search found: of use with its models only, and large where it rotates.
    let private isMeasured (content: byte[]) = not (Alignments.is (Json.parse (Text.Encoding.UTF8.GetString content)))

    let private mayBe (store: Store) key =
        store.Record key
        |> Option.exists (fun record ->
            record["file"].String = valueName && record.TryItem "op" <> Some(Json.Text ReportStep.name))

    /// Writes an archive of a store's measurements, and gives how many there are. What is damaged in the store is left out.
    let pack (store: Store) (path: string) : int =
        let mutable count = 0

        AtomicFile.write path (fun stream ->
            use archive = new ZipArchive(stream, ZipArchiveMode.Create, leaveOpen = true)

            let add name (content: byte[]) =
                let entry = archive.CreateEntry(name, CompressionLevel.SmallestSize)
                entry.LastWriteTime <- time
                use target = entry.Open()
                target.Write content

            for key in List.ofSeq store.Keys |> List.filter (mayBe store) do
                match store.RecordBytes key, store.Read key with
                | Some record, Intact(_, content) when isMeasured content ->
                    add $"{key}/{recordName}" record
                    add $"{key}/{valueName}" content
                    count <- count + 1
                | _ -> ())

        count

    let private read (path: string) (entry: ZipArchiveEntry) =
        if entry.Length > most then
            raise (
                LmcException
                    $"{path}: expected entries of at most {most} bytes, found {entry.FullName} of {entry.Length}"
            )

        use source = entry.Open()
        let content = Array.zeroCreate<byte>(int entry.Length)
        source.ReadExactly content
        content

    /// Takes the measurements of an archive into a store, and gives how many it holds. All are looked at before the first is taken.
    /// Raises `LmcException` where the file is no such archive, or is damaged.
    let unpack (store: Store) (path: string) : int =
        let refuse found = raise (LmcException $"{path}: expected an archive of measurements, found {found}")

        let values =
            try
                use archive = ZipFile.OpenRead path
                let entries = dict [ for entry in archive.Entries -> entry.FullName, entry ]

                [
                    for entry in archive.Entries do
                        match entry.FullName.Split '/' with
                        | [| key; name |] when Store.IsKey key && (name = recordName || name = valueName) ->
                            if name = recordName then
                                match entries.TryGetValue $"{key}/{valueName}" with
                                | true, value -> key, read path entry, read path value
                                | _ -> refuse $"a record without its value, {entry.FullName}"
                        | _ -> refuse $"'{entry.FullName}' in it"
                ]
            with
            | :? InvalidDataException
            | :? EndOfStreamException
            | :? ArgumentException as error -> refuse $"a damaged one ({error.Message})"

        if values.IsEmpty then
            refuse "an empty one"

        let sound =
            [
                for key, record, content in values do
                    match StoreRecord.check key record content with
                    | Ok read -> read, record, content
                    | Error fault -> raise (LmcException $"{path}: {key}: {fault}")
            ]

        List.iter store.TakeOver sound
        values.Length
