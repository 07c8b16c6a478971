namespace LmcDsl

open System
open System.IO
open System.Security.Cryptography
open System.Text
open LmcDsl.Core.Runtime

/// Where a store's unfinished steps can go on, each under the key of the step. What is read is what was written for that key, or nothing.
type PartialValues internal (folder: StoreFolder) =

    // What begins a file, within what its checksum is of.
    let header (key: string) = Encoding.ASCII.GetBytes $"lmcdsl partial 2 {key}\n"

    /// Keeps where an unfinished step stands, replacing what was kept before. Its checksum is of the key as well.
    member _.Write(key: string, content: byte[]) : unit =
        let kept = Array.append (header key) content

        AtomicFile.write (folder.Partial key) (fun stream ->
            stream.Write(SHA256.HashData kept, 0, 32)
            stream.Write(kept, 0, kept.Length))

    /// Where an unfinished step stood. What is damaged, of another key or of another format is told and taken away: it counts as nothing.
    member _.Read(key: string, tell: string -> unit) : byte[] option =
        let path = folder.Partial key

        let nothing (reason: string) =
            folder.Remove key path
            tell $"{path}: {reason}; the step begins anew"
            None

        match UnixFile.Kind path with
        | FileKind.None -> None
        | FileKind.Regular ->
            try
                let kept = File.ReadAllBytes path
                let ours = header key
                let body = kept.AsSpan(min 32 kept.Length)
                let holds = ReadOnlySpan(SHA256.HashData body).SequenceEqual(ReadOnlySpan(kept, 0, min 32 kept.Length))
                let isOurs = body.StartsWith(ReadOnlySpan ours)
                let isPartial = body.StartsWith "lmcdsl partial "B

                match holds, isOurs, isPartial with
                | false, _, _ -> nothing "expected what its checksum is of, found something else"
                | true, true, _ -> Some(body.Slice(ours.Length).ToArray())
                | true, false, true -> nothing "expected an unfinished step of this key, found another's"
                | true, false, false -> nothing "expected an unfinished step with its key, found one of an older format"
            with
            | :? IOException
            | :? UnauthorizedAccessException as error -> nothing $"it cannot be read: {error.Message}"
        | kind -> nothing (StoreFolder.Expected "a file" kind)

    /// The same, told to nobody.
    member this.Read(key: string) : byte[] option = this.Read(key, ignore)

    /// Forgets where a step stood, once it is finished.
    member _.Remove(key: string) : unit =
        match StoreFolder.KindOf(folder.Partial key) with
        | FileKind.None -> ()
        | FileKind.Regular -> File.Delete(folder.Partial key)
        | _ -> folder.Remove key (folder.Partial key)
