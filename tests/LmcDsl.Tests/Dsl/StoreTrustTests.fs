/// What may lie in a store that no store put there: whatever keeps one key from being read is damage, whatever keeps it from being written is
/// told before the work, and what is no key is nobody's business.
module LmcDsl.Tests.Dsl.StoreTrustTests

open System
open System.Collections.Generic
open System.IO
open System.Runtime.InteropServices
open System.Security.Cryptography
open System.Threading
open Expecto
open LmcDsl
open LmcDsl.Tests.Fixtures

let private key = String.replicate 32 "ab"
let private other = String.replicate 32 "cd"
let private content = "1\n"B
let private write (store: Store) key = store.Write(key, "value.json", content, [ "seconds", Json.float 1.5 ])
let private inStore work = inFolder (fun folder -> work folder (Store.Open folder))
let private objectFolder folder (key: string) = Path.Combine(folder, "objects", key.Substring(0, 2), key)

let private link (target: string) (path: string) = File.CreateSymbolicLink(path, target) |> ignore

let private pipe (path: string) =
    let code, _, errors = runProgram "." "mkfifo" [ path ]
    Expect.equal code 0 errors

let private rewritten (path: string) (change: string -> string) =
    File.WriteAllText(path, change (File.ReadAllText path))

/// What is put into the place of a value's file.
let private inPlace: (string * (string -> unit)) list =
    [
        "a folder", (Directory.CreateDirectory >> ignore)
        "a link to nothing", link "/nowhere"
        "a link to itself", (fun path -> link path path)
        "a link to a device without end", link "/dev/zero"
        "a pipe", pipe
    ]

/// Names that records give of their value's file.
let private names =
    [
        ".."
        "."
        ""
        "a\\u0000b"
        "record.json"
        "../../../../etc/passwd"
        "value.json\\n"
        "/etc/passwd"
    ]

// The first format of records: nothing of them was in a checksum.
let private ofFirstFormat (path: string) =
    match Json.parse (File.ReadAllText path) with
    | Json.Object fields ->
        let kept = fields |> List.filter (fun (name, _) -> name <> "format" && name <> "check")
        File.WriteAllText(path, Json.indented (Json.Object kept))
    | _ -> failtest "expected a record"

[<DllImport("libc")>]
extern int private setfsuid(int user)

/// Does something as another user, as far as files are concerned: in a thread of its own, which ends with it.
let private asAnother (work: unit -> unit) =
    let mutable error: exn option = None

    let run () =
        setfsuid 65533 |> ignore

        try
            work ()
        with caught ->
            error <- Some caught

    let thread = Thread run
    thread.Start()
    thread.Join()
    error |> Option.iter raise

let private nothingIsToMake =
    Op.make "constant" 1 0.1 (fun context ->
        match context.LoadPartial() with
        | Some _ ->
            context.Note("turn", Json.Text "first")
            raise (Core.Runtime.LmcException "expected what it once wrote, found something else")
        | None ->
            context.Note("turn again", Json.Text "second")
            Document(Json.int 1L))

/// What is found on the way, and an operation that finds it.
let private foundOp = Op.make "found" 1 0.1 (fun _ -> Document(Json.int 3L))

let private findingOp =
    Op.make "finding" 1 0.1 (fun context ->
        context.Keep foundOp (Document(Json.int 4L))
        Document(Json.int 2L))

let tests =
    testSequenced (
        testList "Store trust" [
            for what, put in inPlace do
                test $"{what} in the place of a value is damage, told and made again" {
                    inStore (fun folder store ->
                        write store key
                        let value = Path.Combine(objectFolder folder key, "value.json")
                        File.Delete value
                        put value

                        match store.Read key with
                        | Damaged line -> Expect.stringContains line "made again" "told"
                        | other -> failtest $"{other}"

                        write store key
                        Expect.isTrue (store.Contains key) "made again")
                }

                test $"{what} in the place of a record, a key's folder, a lock or an unfinished step is no hindrance" {
                    inStore (fun folder store ->
                        for path in
                            [
                                Path.Combine(objectFolder folder key, "record.json")
                                objectFolder folder key
                                Path.Combine(folder, "locks", key)
                                Path.Combine(folder, "partial", key)
                            ] do
                            Directory.CreateDirectory(FileInfo(path).Directory.FullName) |> ignore
                            put path
                            Expect.isFalse (store.Contains key) "nothing is stored"

                            (use _ = store.Lock(key, ignore, CancellationToken.None)
                             store.Prepare key |> ignore
                             Expect.isNone (store.Partials.Read key) "nowhere"
                             store.Partials.Write(key, [| 1uy |])
                             Expect.equal (store.Partials.Read key) (Some [| 1uy |]) "kept"
                             store.Partials.Remove key
                             write store key)

                            match store.Read key with
                            | Intact _ -> Directory.Delete(objectFolder folder key, true)
                            | other -> failtest $"{path}: {other}")
                }

            test "what a record names is a value's file and nothing else" {
                for name in names do
                    inStore (fun folder store ->
                        write store key
                        let record = Path.Combine(objectFolder folder key, "record.json")
                        ofFirstFormat record
                        rewritten record _.Replace("\"value.json\"", $"\"{name}\"")

                        match store.Read key with
                        | Damaged _ -> ()
                        | found -> failtest $"'{name}': {found}")
            }

            test "a prefix that is a file is told before the work and taken away" {
                inStore (fun folder store ->
                    Directory.CreateDirectory(Path.Combine(folder, "objects")) |> ignore
                    File.WriteAllText(Path.Combine(folder, "objects", "ab"), "")
                    let told = store.Prepare key
                    Expect.equal told.Length 1 "one line"
                    Expect.stringContains told.Head "expected a folder, found a file" "which says what"
                    write store key
                    Expect.isTrue (store.Contains key) "written")
            }

            test "a folder of the store that is a file is told before the work" {
                for name in [ "objects"; "writing"; "partial" ] do
                    inStore (fun folder store ->
                        File.WriteAllText(Path.Combine(folder, name), "")

                        try
                            store.Prepare key |> ignore
                            failtest $"{name}: expected to be told"
                        with :? IOException as error ->
                            Expect.stringContains error.Message name "names it")
            }

            test "the unfinished step of another key is told, and begun anew" {
                inStore (fun folder store ->
                    store.Partials.Write(key, content)
                    let partial name = Path.Combine(folder, "partial", name)
                    File.Copy(partial key, partial other)
                    let told = List<string>()
                    Expect.isNone (store.Partials.Read(other, told.Add)) "not another's"
                    Expect.equal told.Count 1 "told once"
                    Expect.stringContains told[0] "another's" "why"
                    Expect.isFalse (File.Exists(partial other)) "taken away"
                    Expect.equal (store.Partials.Read key) (Some content) "its own stays")
            }

            test "an unfinished step of the first format, which had no key, is told and begun anew" {
                inStore (fun folder store ->
                    store.Partials.Write(key, content)
                    let path = Path.Combine(folder, "partial", key)
                    File.WriteAllBytes(path, Array.append (SHA256.HashData content) content)
                    let told = List<string>()
                    Expect.isNone (store.Partials.Read(key, told.Add)) "nothing"
                    Expect.stringContains told[0] "older format" "why"
                    Expect.isFalse (File.Exists path) "taken away")
            }

            test "a step that cannot go on from where it stood begins anew, and says so" {
                inStore (fun _ store ->
                    let plan: Plan<Model> = Plan.make nothingIsToMake "a constant" Args.none []
                    let told = List<RunEvent>()

                    use runner = new Runner({ Store = store; Tell = told.Add; Cancel = CancellationToken.None })

                    let node = Plan.node plan
                    store.Partials.Write(node.Key, content)
                    runner.Make node
                    Expect.isTrue (store.Contains node.Key) "made"

                    let lines =
                        told
                        |> Seq.choose (function
                            | Warned line -> Some line
                            | _ -> None)
                        |> List.ofSeq

                    Expect.stringContains (String.concat "\n" lines) "begins anew" "told"
                    let notes = (store.Record node.Key |> Option.get)["notes"]
                    let noted = [ for name in [ "turn"; "turn again" ] -> (notes.TryItem name).IsSome ]
                    Expect.equal noted [ false; true ] "what is noted is of the turn that made it")
            }

            test "what a step finds on the way is kept, and what is there already stays" {
                for isThere in [ false; true ] do
                    inStore (fun _ store ->
                        let plan: Plan<Model> = Plan.make findingOp "finding" Args.none []
                        let node = Plan.node plan
                        let beside = Plan.beside foundOp node

                        if isThere then
                            store.Write(beside.Key, "value.json", "5\n"B, [])

                        use runner = new Runner({ Store = store; Tell = ignore; Cancel = CancellationToken.None })
                        runner.Make node

                        match store.Read beside.Key with
                        | Intact(_, found) ->
                            Expect.equal
                                (Json.parse (System.Text.Encoding.UTF8.GetString found)).Int
                                (if isThere then 5 else 4)
                                $"there: {isThere}"
                        | other -> failtest $"{other}")
            }

            test "a record is of its key, to the last field; records of the first format are served after" {
                inStore (fun folder store ->
                    write store key
                    let record = Path.Combine(objectFolder folder key, "record.json")

                    let isDamaged key =
                        match store.Read key with
                        | Damaged _ -> ()
                        | found -> failtest $"{found}"

                    // A value and its record, under another key.
                    let moved () =
                        write store key
                        Directory.CreateDirectory(Path.Combine(folder, "objects", "cd")) |> ignore
                        Directory.Move(objectFolder folder key, objectFolder folder other)

                    rewritten record _.Replace("1.5", "2.5")
                    isDamaged key
                    moved () // as they are
                    isDamaged other
                    moved () // and with the name in the record mended
                    rewritten (Path.Combine(objectFolder folder other, "record.json")) _.Replace(key, other)
                    isDamaged other

                    write store key
                    ofFirstFormat record

                    match store.Read key with
                    | Intact(_, found) -> Expect.equal found content "served"
                    | found -> failtest $"{found}")
            }

            test "what has no key's name is left alone, and ends nothing" {
                inStore (fun folder store ->
                    write store key

                    let strange =
                        [
                            "objects/.nfs00001"
                            "objects/x/y/record.json"
                            "objects/ab/.nfs00001"
                            "objects/ab/short/record.json"
                            "partial/x"
                            "partial/.nfs00001"
                            "locks/.nfs00001"
                            "locks/x"
                            "writing/.nfs00001"
                            "writing/x.1/y"
                        ]
                        |> List.map (fun name -> Path.Combine(folder, name))

                    for path in strange do
                        Directory.CreateDirectory(FileInfo(path).Directory.FullName) |> ignore
                        File.WriteAllText(path, "{}")

                    Expect.equal (List.ofSeq store.Keys) [ key ] "one key"
                    Expect.equal (store.Clean()) 0 "nothing of ours to tidy"
                    Expect.all strange File.Exists "left alone")
            }

            test "whoever takes the right after a crash hears what the last one was at" {
                inStore (fun folder store ->
                    (use right = store.Lock(key, ignore, CancellationToken.None)
                     Expect.isNone right.Left "nobody before"
                     right.Note "a training")

                    Expect.isFalse (File.Exists(Path.Combine(folder, "locks", key))) "given back"
                    // One that dies leaves the file; the system gives the right back.
                    File.WriteAllText(Path.Combine(folder, "locks", key), "a training: process 1")
                    use right = store.Lock(key, ignore, CancellationToken.None)
                    Expect.equal right.Left (Some "a training: process 1") "what it was at")
            }

            test "another user's lock is waited for" {
                if Core.Runtime.UnixFile.User <> 0u then
                    skiptest "only root can act as another user"

                inStore (fun folder store ->
                    (use _ = store.Lock(key, ignore, CancellationToken.None)
                     // As with a umask of 022, in a folder that all may write to.
                     File.SetUnixFileMode(folder, enum<UnixFileMode> 0o755)
                     File.SetUnixFileMode(Path.Combine(folder, "locks"), enum<UnixFileMode> 0o777)
                     File.SetUnixFileMode(Path.Combine(folder, "locks", key), enum<UnixFileMode> 0o644)
                     let told = ref 0
                     use cancel = new CancellationTokenSource(700)

                     asAnother (fun () ->
                         Expect.throwsT<OperationCanceledException>
                             (fun () ->
                                 store.Lock(key, (fun () -> told.Value <- told.Value + 1), cancel.Token) |> ignore)
                             "waits")

                     Expect.equal told.Value 1 "told once")

                    // One that died is no hindrance, though its file is another's.
                    File.WriteAllText(Path.Combine(folder, "locks", key), "")
                    File.SetUnixFileMode(Path.Combine(folder, "locks", key), enum<UnixFileMode> 0o644)

                    asAnother (fun () ->
                        use right = store.Lock(key, ignore, CancellationToken.None)
                        right.Note "nothing can be noted here"))
            }
        ]
    )
