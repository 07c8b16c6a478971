namespace LmcDsl.Tool

open System.IO
open Argu
open LmcDsl
open LmcDsl.Core.Runtime

/// `lmc store ...`: what a store of results holds.
[<RequireQualifiedAccess>]
module StoreCommand =

    let private list (store: Store) =
        Json.Array [
            for key in store.Keys do
                match store.Record key with
                | Some record ->
                    Json.Object [
                        for name in [ "key"; "op"; "title"; "bytes"; "seconds"; "started" ] do
                            match record.TryItem name with
                            | Some value -> name, value
                            | None -> ()
                    ]
                | None -> Json.Object [ "key", Json.Text key; "title", Json.Text "a damaged record" ]
        ]

    // Reading a value verifies it; what is damaged is taken away, and made again when it is next asked for.
    let private verify (store: Store) =
        let damaged =
            [
                for key in List.ofSeq store.Keys do
                    match store.Read key with
                    | Damaged line -> line
                    | _ -> ()
            ]

        Json.Object [ "intact", Json.int (Seq.length store.Keys |> int64); "damaged", Json.texts damaged ]

    let private export (store: Store) key (target: string option) =
        if not (Store.IsKey key) then
            raise (LmcException $"store: expected a value's key, 64 hexadecimal digits, found '{key}'")

        match store.Read key with
        | Intact(path, content) ->
            let file = defaultArg target (key.Substring(0, min 12 key.Length) + Path.GetExtension path)
            AtomicFile.write file (fun stream -> stream.Write(System.ReadOnlySpan content))
            Json.Object [ "written", Json.Text file; "bytes", Json.int content.LongLength ]
        | Absent -> raise (LmcException $"store: expected a value under {key}, found none")
        | Damaged line -> raise (LmcException line)

    let private pack (store: Store) (target: string option) =
        let file = defaultArg target "measured.zip"
        let count = Measured.pack store file
        Json.Object [ "written", Json.Text file; "measurements", Json.int (int64 count) ]

    /// Runs the command. Returns what it found.
    let run (arguments: ParseResults<StoreArgument>) : Json =
        let folder = arguments.GetResult(StoreArgument.Store, defaultValue = Path.Combine("results", "store"))

        let action = arguments.GetResult StoreArgument.Action

        match action with
        | [ "unpack"; _ ] -> ()
        | _ when not (Directory.Exists folder) ->
            raise (LmcException $"--store: expected a store, found no folder '{folder}'")
        | _ -> ()

        let store = Store.Open folder

        match action with
        | [ "list" ] -> list store
        | [ "verify" ] -> verify store
        | [ "gc" ] -> Json.Object [ "removed", Json.int (int64 (store.Clean())) ]
        | [ "export"; key ] -> export store key (arguments.TryGetResult StoreArgument.Output)
        | [ "pack" ] -> pack store (arguments.TryGetResult StoreArgument.Output)
        | [ "unpack"; file ] -> Json.Object [ "measurements", Json.int (int64 (Measured.unpack store file)) ]
        | other ->
            let found = String.concat " " other

            raise (LmcException $"store: expected list, verify, gc, export KEY, pack or unpack FILE, found '{found}'")
