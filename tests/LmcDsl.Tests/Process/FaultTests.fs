/// Faults on real processes: kills at random moments, several processes on one store, a full disk, a read-only store, damage, clocks that
/// jump. Nothing is lost, nothing wrong is served; each ends in the bytes of an undisturbed run, or in one clear line. In a long run
/// LMC_KILLS says how many kills of each kind.
module LmcDsl.Tests.Process.FaultTests

open System
open System.Diagnostics
open System.IO
open System.Threading
open Expecto
open LmcDsl
open LmcDsl.Tests.Fixtures
open LmcDsl.Trials
open LmcDsl.Tests.Process.Trial

let private at (folder: string) (name: string) = Path.Combine(folder, name)

/// The files of an experiment that nothing disturbs, and its store, kept for the whole suite.
type private Calm(name: string, words: string list) =
    let folder =
        lazy
            (let folder = (Directory.CreateTempSubdirectory "lmcdsl-calm-").FullName
             AppDomain.CurrentDomain.ProcessExit.Add(fun _ -> Directory.Delete(folder, true))
             let code, output, errors = run folder name words
             Expect.equal code 0 (output + errors)
             folder)

    member _.Words = words
    member _.Name = name
    member _.Store = at folder.Value "store"
    member _.Results = lazy (contentsOf (at folder.Value "results")) |> _.Value

    /// Copies its complete store to a path.
    member this.CopyStore(path: string) =
        for file in Directory.GetFiles(this.Store, "*", SearchOption.AllDirectories) do
            let target = Path.Combine(path, Path.GetRelativePath(this.Store, file))
            Directory.CreateDirectory(FileInfo(target).Directory.FullName) |> ignore
            File.Copy(file, target, overwrite = true)

let private training = Calm(SmallExperiment.word, withoutImages)
let private matching = Calm(SmallExperiment.matching, withoutImages)
let private writing = Calm(SmallSweep.word, withoutImages)
let private drawing = Calm(SmallExperiment.word, places)

/// A disk of a size of its own, where the system lets us have one.
let private onDisk (size: string) (work: string -> unit) =
    inFolder (fun folder ->
        match runProgram "." "mount" [ "-t"; "tmpfs"; "-o"; $"size={size}"; "tmpfs"; folder ] with
        | 0, _, _ ->
            try
                work folder
            finally
                runProgram "." "umount" [ "-l"; folder ] |> ignore
        | _ -> skiptest "no disk can be mounted here")

let private remount folder options =
    let code, _, errors = runProgram "." "mount" [ "-o"; $"remount,{options}"; folder ]
    Expect.equal code 0 errors

let private endsAsUndisturbed (calm: Calm) folder =
    let code, output, errors = run folder calm.Name calm.Words
    Expect.equal code 0 (output + errors)
    Expect.equal (contentsOf (at folder "results")) calm.Results "the bytes of an undisturbed run"
    nothingIsLeft (at folder "store") (at folder "results")

/// Kills the experiment so often, each time `least` to `most` milliseconds after its start, and runs it to its end. Where it came to its
/// end in spite of all, `anew` takes away what it made.
let private survivesKills (calm: Calm) n (least: int) (most: int) (prepare: string -> unit) (anew: string -> unit) =
    let random = Random(n + least)

    inFolder (fun folder ->
        prepare folder
        let mutable killed = 0

        while killed < n do
            use child = start [] folder calm.Name calm.Words

            if killWithin random least most child then
                killed <- killed + 1
                storeIsSound (at folder "store")
                noFileIsHalf (at folder "results") calm.Results
            else
                anew folder

        endsAsUndisturbed calm folder)

let private delete (folder: string) (names: string list) =
    for name in names do
        if Directory.Exists(at folder name) then
            Directory.Delete(at folder name, true)

/// Takes away the values of a store that are documents: what was matched and measured; trained models stay.
// What is made of models.
let private forgetDocuments (store: string) =
    for file in Directory.GetFiles(at store "objects", "value.json", SearchOption.AllDirectories) do
        if not (isCurve file) then
            Directory.Delete(FileInfo(file).Directory.FullName, true)

let private damage (random: Random) (path: string) =
    damaged.Add 1
    // What an earlier damage has emptied or taken away is filled with anything.
    let bytes = if File.Exists path then File.ReadAllBytes path else [||]

    match random.Next 4 with
    | _ when bytes.Length = 0 -> File.WriteAllBytes(path, [| 1uy; 2uy; 3uy |])
    | 0 ->
        let place = random.Next bytes.Length
        bytes[place] <- bytes[place] ^^^ (1uy <<< random.Next 8)
        File.WriteAllBytes(path, bytes)
    | 1 -> File.WriteAllBytes(path, bytes[.. random.Next bytes.Length - 1])
    | 2 -> File.Delete path
    | _ -> File.WriteAllBytes(path, [||])

let private fakeTime =
    [ "x86_64-linux-gnu"; "aarch64-linux-gnu" ]
    |> List.map (fun machine -> $"/usr/lib/{machine}/faketime/libfaketimeMT.so.1")
    |> List.tryFind File.Exists

let tests =
    testSequenced (
        testList "Faults" [
            test "killed while it trains" {
                survivesKills training (kills 5) 300 2500 ignore (fun folder -> delete folder [ "store" ])
            }

            test "killed while it matches" {
                let prepare folder =
                    matching.CopyStore(at folder "store")
                    forgetDocuments (at folder "store")

                survivesKills matching (kills 5) 300 1500 prepare (fun folder -> forgetDocuments (at folder "store"))
            }

            test "killed while it writes values" {
                survivesKills writing (kills 5) 500 2000 ignore (fun folder -> delete folder [ "store" ])
            }

            test "killed while it makes figures" {
                let prepare folder = drawing.CopyStore(at folder "store")
                survivesKills drawing (kills 3) 400 5000 prepare (fun folder -> delete folder [ "results" ])
            }

            for count in [ 2; 8 ] do
                test $"{count} processes on one store, killed and run again" {
                    let each = max 1 (kills 8 / count)

                    inFolder (fun folder ->
                        let one index =
                            Tasks.Task.Run(fun () ->
                                let random = Random(100 * count + index)
                                let results = $"results{index}"
                                let words = [ "--store"; "store"; "--results"; results; "--no-images" ]
                                let mutable killed = 0
                                let mutable ended = false

                                while killed < each && not ended do
                                    use child = start [] folder training.Name words
                                    let wasKilled = killWithin random 400 (1500 * max 1 (count / 2)) child
                                    if wasKilled then killed <- killed + 1 else ended <- true

                                finish (start [] folder training.Name words), results)

                        let all = [ for index in 1..count -> one index ]

                        for outcome in all do
                            let (code, output, errors), results = outcome.Result
                            Expect.equal code 0 (output + errors)
                            Expect.equal (contentsOf (at folder results)) training.Results "the same bytes"
                            nothingIsLeft (at folder "store") (at folder results)

                        storeIsSound (at folder "store"))
                }

            test "a disk that fills: one line, nothing half-written, and on with more room" {
                for size in [ "40k"; "160k"; "600k"; "1500k" ] do
                    onDisk size (fun disk ->
                        run disk training.Name training.Words |> inOneLine [ "No space left on device" ]
                        storeIsSound (at disk "store")
                        noFileIsHalf (at disk "results") training.Results
                        remount disk "size=100m"
                        endsAsUndisturbed training disk)
            }

            test "a disk that fills while results are written" {
                onDisk "90k" (fun disk ->
                    inFolder (fun folder ->
                        training.CopyStore(at folder "store")
                        let words = [ "--store"; at folder "store"; "--results"; at disk "results"; "--no-images" ]
                        run folder training.Name words |> inOneLine [ "No space left on device" ]
                        noFileIsHalf (at disk "results") training.Results))
            }

            test "a read-only store gives what it holds, and says so where something is to be made" {
                onDisk "100m" (fun disk ->
                    inFolder (fun folder ->
                        let words = [ "--store"; at disk "store"; "--results"; "results"; "--no-images" ]
                        training.CopyStore(at disk "store")
                        remount disk "ro"
                        let code, output, errors = run folder training.Name words
                        Expect.equal code 0 (output + errors)
                        Expect.equal (contentsOf (at folder "results")) training.Results "what it holds"
                        remount disk "rw"
                        forgetDocuments (at disk "store")
                        remount disk "ro"
                        run folder training.Name words |> inOneLine [ "Read-only file system"; at disk "store" ]))
            }

            test "values and records that are damaged, cut, emptied or gone are made again" {
                let random = Random 5

                inFolder (fun folder ->
                    training.CopyStore(at folder "store")

                    for round in 1 .. kills 5 do
                        let files =
                            Directory.GetFiles(at folder "store/objects", "*", SearchOption.AllDirectories)
                            |> Array.filter (isCurve >> not)
                            |> Array.sort

                        for _ in 0 .. random.Next 3 do
                            damage random files[random.Next files.Length]

                        // Reports are made again from what they hold, every second time with what these were made of.
                        for file in files do
                            let record = at (FileInfo(file).Directory.FullName) "record.json"

                            if file.EndsWith "value.json" && File.Exists record then
                                let isReport = (File.ReadAllText record).Contains "\"op\": \"report\""

                                if isReport || round % 2 = 0 then
                                    Directory.Delete(FileInfo(file).Directory.FullName, true)

                        endsAsUndisturbed training folder)
            }

            test "values swapped between keys, with and without their records, are noticed" {
                for names in [ [ "value.safetensors" ]; [ "value.safetensors"; "record.json" ] ] do
                    inFolder (fun folder ->
                        training.CopyStore(at folder "store")
                        forgetDocuments (at folder "store")

                        let models =
                            Directory.GetFiles(
                                at folder "store/objects",
                                "value.safetensors",
                                SearchOption.AllDirectories
                            )
                            |> Array.map (fun file -> FileInfo(file).Directory.FullName)

                        for name in names do
                            let first, last = at models[0] name, at models[1] name
                            let content = File.ReadAllBytes first
                            File.Copy(last, first, overwrite = true)
                            File.WriteAllBytes(last, content)
                            damaged.Add 2

                        let _, output, _ = run folder training.Name training.Words
                        Expect.stringContains output "it is made again" "told"
                        endsAsUndisturbed training folder)
            }

            test "a clock that jumps, by years and back, changes nothing" {
                match fakeTime with
                | None -> skiptest "libfaketime is not installed"
                | Some library ->
                    inFolder (fun folder ->
                        let clock = at folder "clock"
                        File.WriteAllText(clock, "+0")

                        let environment =
                            [
                                "LD_PRELOAD", library
                                "FAKETIME_TIMESTAMP_FILE", clock
                                "FAKETIME_NO_CACHE", "1"
                                "DONT_FAKE_MONOTONIC", "1"
                            ]

                        use child = start environment folder training.Name training.Words

                        let output, errors =
                            child.StandardOutput.ReadToEndAsync(), child.StandardError.ReadToEndAsync()

                        for days in [ 400; -3000; 20000; -1 ] do
                            Thread.Sleep 600
                            File.WriteAllText(clock, (if days > 0 then $"+{days}d" else $"{days}d"))

                        child.WaitForExit()
                        Expect.equal child.ExitCode 0 (output.Result + errors.Result)
                        Expect.equal (contentsOf (at folder "results")) training.Results "the same bytes"
                        // What is swept is what nobody is at, not what is old.
                        let store = Store.Open(at folder "store")
                        let key = Seq.head store.Keys
                        let draft = at folder $"store/writing/{key}.0"
                        Directory.CreateDirectory draft |> ignore
                        Directory.SetLastWriteTimeUtc(draft, DateTime(1971, 1, 1))

                        (use _ = store.Lock(key, ignore, CancellationToken.None)
                         Expect.equal (store.Clean()) 0 "held by one at work")

                        Directory.SetLastWriteTimeUtc(draft, DateTime(2170, 1, 1))
                        Expect.equal (store.Clean()) 1 "held by nobody")
            }

            test "a machine that other processes keep busy changes no byte" {
                let spinning =
                    [
                        for _ in 1 .. 2 * Environment.ProcessorCount ->
                            Process.Start(ProcessStartInfo("/bin/sh", [ "-c"; "while :; do :; done" ]))
                    ]

                try
                    inFolder (endsAsUndisturbed training)
                finally
                    for child in spinning do
                        child.Kill()
                        child.WaitForExit()
                        child.Dispose()
            }

            test "seeds that are none are refused before anything runs" {
                inFolder (fun folder ->
                    for words in [ [ "x" ]; [ "1.5"; "2"; "3" ]; [ "99999999999999999999"; "1"; "2" ] ] do
                        let code, output, errors = run folder training.Name (withoutImages @ [ "--seeds" ] @ words)
                        Expect.equal code 2 (output + errors)
                        Expect.stringContains errors "--seeds" $"{words}"
                        Expect.isFalse (Directory.Exists(at folder "store")) "nothing ran")
            }

            test "what was done, in one line" {
                Console.WriteLine
                    $"Faults: {killed.Value} kills, {processes.Value} processes, {damaged.Value} damaged files, {files.Value} files checked"
            }
        ]
    )
