namespace LmcDsl

open System
open System.Security.Cryptography
open System.Text
open System.Text.RegularExpressions
open LmcDsl.Core.Runtime

/// The record beside a stored value: of which key it is, the value's file and checksum, and how it came about; with a checksum of all that
/// it says.
type internal StoreRecord =
    {
        /// All of it.
        Fields: Json
        /// The key that it is of.
        Key: string
        /// The name of the value's file.
        File: string
        /// The value's SHA-256.
        Sha256: string
    }

/// Writing records, and reading what lies in a record's place.
[<RequireQualifiedAccess>]
module internal StoreRecord =

    let private format = 2L

    let private valueName = Regex @"^value\.[a-z]+\z"

    /// A checksum as records have it.
    let sha256 (content: byte[]) : string = Convert.ToHexStringLower(SHA256.HashData content)

    // What a record's own checksum is of: all else that it says, in canonical text.
    let private checkOf (fields: (string * Json) list) =
        let others = fields |> List.filter (fun (name, _) -> name <> "check")
        sha256 (Encoding.UTF8.GetBytes(Json.text (Json.parse (Json.text (Json.Object others)))))

    // Records of the first format had no checksum of their own; what they name is served all the same.
    let private isSound (record: Json) =
        match record, record.TryItem "format", record.TryItem "check" with
        | _, None, None -> true
        | Json.Object fields, Some _, Some(Json.Text check) -> checkOf fields = check
        | _ -> false

    /// The text of a record; `more` is how the value came about.
    let write (key: string) (file: string) (content: byte[]) (more: (string * Json) list) : string =
        let fields =
            [
                "format", Json.int format
                "key", Json.Text key
                "file", Json.Text file
                "sha256", Json.Text(sha256 content)
                "bytes", Json.int content.LongLength
            ]
            @ more

        Json.indented (Json.Object(fields @ [ "check", Json.Text(checkOf fields) ]))

    /// The record that a text is; none where it is damaged. `where` is said where a newer program wrote it.
    /// Raises `LmcException` where one did.
    let tryRead (where: string) (text: string) : StoreRecord option =
        let found =
            try
                let record = Json.parse text

                if isSound record then
                    let read =
                        {
                            Fields = record
                            Key = record["key"].String
                            File = record["file"].String
                            Sha256 = record["sha256"].String
                        }

                    Some(read, record.TryItem "format" |> Option.map _.Int64 |> Option.defaultValue 1L)
                else
                    None
            with :? LmcException ->
                None

        match found with
        | Some(_, newer) when newer > format ->
            raise (
                LmcException
                    $"{where}: expected records of format {format} or before, found {newer}: a newer LmcDsl wrote them"
            )
        | _ -> Option.map fst found

    /// What keeps a record from being that of a key's value, where something does: that it is another's, or names a file elsewhere.
    let faultFor (key: string) (record: StoreRecord) : string option =
        if record.Key <> key then
            Some "expected a record of this key, found another's"
        elif not (valueName.IsMatch record.File) then
            Some $"expected a record that names a value's file, found '{record.File}'"
        else
            None

    /// The record that bytes of another store's are, where they and the value with it are what was written under a key; else what is wrong.
    let check (key: string) (record: byte[]) (content: byte[]) : Result<StoreRecord, string> =
        match tryRead key (Encoding.UTF8.GetString record) with
        | None -> Error "expected a readable record, found a damaged one"
        | Some read ->
            match faultFor key read with
            | Some fault -> Error fault
            | None when sha256 content <> read.Sha256 ->
                Error $"expected a value with SHA-256 {read.Sha256}, found another"
            | None -> Ok read
