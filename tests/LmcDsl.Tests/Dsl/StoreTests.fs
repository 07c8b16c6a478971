module LmcDsl.Tests.Dsl.StoreTests

open System
open System.IO
open System.Threading
open System.Threading.Tasks
open Expecto
open LmcDsl
open LmcDsl.Tests.Fixtures

let private key = String.replicate 32 "ab"
let private content = [| 1uy; 2uy; 3uy |]
let private write (store: Store) = store.Write(key, "value.json", content, [ "seconds", Json.float 1.5 ])

let private inStore work = inFolder (fun folder -> work folder (Store.Open folder))

let private valueFile folder = Directory.GetFiles(folder, "value.json", SearchOption.AllDirectories) |> Array.exactlyOne

let private damages: (string * (string -> unit)) list =
    [
        "a changed byte", fun value -> File.WriteAllBytes(value, [| 1uy; 2uy; 4uy |])
        "a cut value", fun value -> File.WriteAllBytes(value, [| 1uy |])
        "a value that is gone", File.Delete
        "an empty record", fun value -> File.WriteAllText(Path.Combine(Path.GetDirectoryName value, "record.json"), "")
        "a record that is no JSON",
        fun value -> File.WriteAllText(Path.Combine(Path.GetDirectoryName value, "record.json"), "{{{")
        "another key's record",
        fun value ->
            let record = Path.Combine(Path.GetDirectoryName value, "record.json")
            File.WriteAllText(record, File.ReadAllText(record).Replace(key, String.replicate 32 "cd"))
        "a record that names a file elsewhere",
        fun value ->
            let record = Path.Combine(Path.GetDirectoryName value, "record.json")
            File.WriteAllText(record, File.ReadAllText(record).Replace("value.json", "../../../../../../etc/passwd"))
    ]

let tests =
    testList "Store" [
        test "what is written is read, with its record" {
            inStore (fun _ store ->
                Expect.equal (store.Read key) Absent "nothing yet"
                write store

                match store.Read key with
                | Intact(_, found) -> Expect.equal found content "same bytes"
                | other -> failtest $"{other}"

                Expect.equal (store.Record key |> Option.map (fun r -> r["seconds"].Float)) (Some 1.5) "record")
        }

        for name, damage in damages do
            test $"damage is noticed, told, and taken away: {name}" {
                inStore (fun folder store ->
                    write store
                    damage (valueFile folder)

                    match store.Read key with
                    | Damaged line -> Expect.stringContains line key "names the artifact"
                    | other -> failtest $"{other}"

                    Expect.equal (store.Read key) Absent "taken away"
                    write store
                    Expect.isTrue (store.Contains key) "and made again")
            }

        test "a value without a record does not count, and is replaced" {
            inStore (fun folder store ->
                write store
                File.Delete(Path.Combine(Path.GetDirectoryName(valueFile folder), "record.json"))
                Expect.equal (store.Read key) Absent "no record, no value"
                write store
                Expect.isTrue (store.Contains key) "replaced")
        }

        test "where a step stands is kept, replaced, and forgotten; damage counts as nothing" {
            inStore (fun folder store ->
                Expect.equal (store.Partials.Read key) None "nothing yet"
                store.Partials.Write(key, content)
                store.Partials.Write(key, [| 9uy |])
                Expect.equal (store.Partials.Read key) (Some [| 9uy |]) "the newest"
                let path = Path.Combine(folder, "partial", key)
                let bytes = File.ReadAllBytes path
                bytes[bytes.Length - 1] <- 8uy
                File.WriteAllBytes(path, bytes)
                Expect.equal (store.Partials.Read key) None "damaged"
                store.Partials.Remove key
                Expect.isFalse (File.Exists path) "forgotten")
        }

        test "one at a time holds a key's lock, over many tries" {
            inStore (fun _ store ->
                let inside = ref 0
                let most = ref 0

                let work () =
                    for _ in 1..20 do
                        use _ = store.Lock(key, ignore, CancellationToken.None)
                        let now = Interlocked.Increment inside
                        lock most (fun () -> most.Value <- max most.Value now)
                        Thread.Sleep 1
                        Interlocked.Decrement inside |> ignore

                Task.WaitAll [| for _ in 1..4 -> Task.Run work |]
                Expect.equal most.Value 1 "never two")
        }

        test "waiting for a lock is told once and can be cancelled" {
            inStore (fun _ store ->
                use _ = store.Lock(key, ignore, CancellationToken.None)
                use cancel = new CancellationTokenSource(700)
                let told = ref 0

                Expect.throwsT<OperationCanceledException>
                    (fun () -> store.Lock(key, (fun () -> told.Value <- told.Value + 1), cancel.Token) |> ignore)
                    "cancelled"

                Expect.equal told.Value 1 "told once")
        }

        test "two writers of one key leave one sound value and no left-overs" {
            inStore (fun folder store ->
                Task.WaitAll [|
                    for _ in 1..8 ->
                        Task.Run(fun () ->
                            try
                                write store
                            with :? IOException ->
                                ())
                |]

                match store.Read key with
                | Intact(_, found) -> Expect.equal found content "sound"
                | other -> failtest $"{other}"

                store.Sweep key
                Expect.isEmpty (Directory.GetFileSystemEntries(Path.Combine(folder, "writing"))) "swept")
        }

        test "a folder that cannot be made is told in one line" {
            inFolder (fun folder ->
                let file = Path.Combine(folder, "file")
                File.WriteAllText(file, "")
                failsWith [ "store"; file ] (fun () -> Store.Open(Path.Combine(file, "store")) |> ignore))
        }
    ]
