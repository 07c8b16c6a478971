module LmcDsl.Tests.Dsl.MeasuredTests

open System
open System.IO
open System.IO.Compression
open System.Threading
open Expecto
open LmcDsl
open LmcDsl.Core.Runtime
open LmcDsl.Tests.Fixtures

let private setup =
    { Setup.standard with
        Data = Part(Glyphs, 200, 50)
        Network = mlp [ 6 ]
        Epochs = 1
        Threads = 1
    }

let private plans =
    [
        for search in [ WM; RotatedWM ] -> setup |> (train >> align search >> measureAll [ L2; Barrier ])
    ]

// Runs the plans on a store; gives the reports and what was done.
let private run (store: Store) =
    let started = ResizeArray<string>()

    let tell =
        function
        | Started node -> started.Add node.Title
        | _ -> ()

    use runner = new Runner({ Store = store; Tell = tell; Cancel = CancellationToken.None })
    runner.Run plans, List.ofSeq started

let private inStores work =
    inFolder (fun folder ->
        let first = Store.Open(Path.Combine(folder, "first"))
        let reports, _ = run first
        let archive = Path.Combine(folder, "measured.zip")
        let count = Measured.pack first archive
        work folder first reports archive count)

let private entries (archive: string) =
    use zip = ZipFile.OpenRead archive
    [ for entry in zip.Entries -> entry.FullName ]

let private change (archive: string) (edit: ZipArchive -> unit) =
    use zip = ZipFile.Open(archive, ZipArchiveMode.Update)
    edit zip

let private replace (name: string -> bool) (text: string) (zip: ZipArchive) =
    let entry = zip.Entries |> Seq.find (fun entry -> name entry.FullName)
    let kept = entry.FullName
    entry.Delete()
    use target = zip.CreateEntry(kept).Open()
    target.Write(ReadOnlySpan(Text.Encoding.UTF8.GetBytes text))

let tests =
    testList "Measured" [
        test "tables come from the archive alone: nothing is trained, matched or measured again" {
            inStores (fun folder _ reports archive count ->
                let second = Store.Open(Path.Combine(folder, "second"))
                Expect.equal (Measured.unpack second archive) count "all"
                let planned = Terminal.planLines second (plans |> List.map Plan.node)
                Expect.stringContains (List.last planned) $" {plans.Length} to do" "the reports are to do"
                let train = planned |> List.find _.Contains("train mlp 6 on glyphs:200+50, seed 0")
                Expect.stringContains train "not needed" "the models are not"
                let again, started = run second
                Expect.equal again reports "the same reports"

                Expect.isTrue
                    (started |> List.forall ((=) "report"))
                    $"what was measured is put together only: {started}")
        }

        test "models and permutations are not in it, the same values give the same bytes" {
            inStores (fun folder first _ archive count ->
                let names = entries archive
                Expect.equal names.Length (2 * count) "a record and a value each"
                Expect.equal names (List.sortWith (fun a b -> String.CompareOrdinal(a, b)) names) "in order"

                (use zip = ZipFile.OpenRead archive

                 for entry in zip.Entries do
                     Expect.equal entry.LastWriteTime.Year 1980 "no time of day")

                let packed = names |> List.map (fun name -> name.Split('/').[0]) |> List.distinct

                let ops = packed |> List.choose first.Record |> List.map (fun r -> r["op"].String) |> List.distinct

                Expect.equal
                    (List.sort ops)
                    [ "barrier"; "distance"; "trainingCurve" ]
                    "no model, nothing that a search found, and no report"

                for key in first.Keys do
                    match first.Read key with
                    | Intact(path, content) when path.EndsWith ".json" ->
                        let value = Json.parse (Text.Encoding.UTF8.GetString content)
                        let isAlignment = Option.isSome (value.TryItem "stopped")
                        let isReport = Option.isSome (value.TryItem "rows")
                        Expect.equal (List.contains key packed) (not (isAlignment || isReport)) "every measurement"
                    | _ -> ()

                let second = Path.Combine(folder, "again.zip")
                Measured.pack first second |> ignore
                Expect.equal (File.ReadAllBytes second) (File.ReadAllBytes archive) "byte by byte")
        }

        test "an unfinished experiment goes on from it: what is measured needs no model" {
            inStores (fun folder first _ _ _ ->
                let report = plans.Head |> Plan.node
                let gone = plans[1] |> ReportStep.rows |> List.last |> snd

                for key in [ report.Key; (Plan.node plans[1]).Key; gone.Key ] do
                    Directory.Delete(Path.Combine(first.Root, "objects", key.Substring(0, 2), key), true)

                let archive = Path.Combine(folder, "part.zip")
                Measured.pack first archive |> ignore
                let second = Store.Open(Path.Combine(folder, "second"))
                Measured.unpack second archive |> ignore
                let _, started = run second
                Expect.contains started gone.Title "what was missing is measured"
                Expect.contains started "train mlp 6 on glyphs:200+50, seed 0" "with the models that it needs"
                let l2 = ReportStep.rows plans.Head |> List.map (snd >> _.Title) |> List.filter _.StartsWith("L2")
                Expect.isFalse (started |> List.exists (fun title -> List.contains title l2)) "no other")
        }

        test "what is no such archive, or damaged, is told in one line, and nothing of it is taken" {
            inStores (fun folder _ _ archive _ ->
                let cases: (string * (string -> unit)) list =
                    [
                        "an archive of measurements, found", fun path -> File.WriteAllText(path, "no archive")
                        "an archive of measurements, found",
                        fun path -> File.WriteAllBytes(path, Array.truncate 300 (File.ReadAllBytes path))
                        "found another", fun path -> change path (replace _.EndsWith("value.json") "[1]")
                        "a readable record", fun path -> change path (replace _.EndsWith("record.json") "{}")
                        "a record of this key",
                        fun path ->
                            change path (fun zip ->
                                let other = zip.Entries |> Seq.filter _.FullName.EndsWith("record.json") |> Seq.last
                                use reader = new StreamReader(other.Open())
                                let text = reader.ReadToEnd()
                                reader.Close()
                                replace _.EndsWith("record.json") text zip)
                        "without its value",
                        fun path ->
                            change path (fun zip ->
                                (zip.Entries |> Seq.find _.FullName.EndsWith("value.json")).Delete())
                        "'../../etc/passwd'",
                        fun path -> change path (fun zip -> zip.CreateEntry "../../etc/passwd" |> ignore)
                        "an empty one",
                        fun path ->
                            change path (fun zip ->
                                for entry in List.ofSeq zip.Entries do
                                    entry.Delete())
                    ]

                for k, (said, damage) in List.indexed cases do
                    let path = Path.Combine(folder, $"{k}.zip")
                    File.Copy(archive, path)
                    damage path
                    let second = Store.Open(Path.Combine(folder, $"store{k}"))

                    try
                        Measured.unpack second path |> ignore
                        failtest $"expected a refusal: {said}"
                    with :? LmcException as error ->
                        Expect.stringContains error.Message said "what was found"
                        Expect.stringContains error.Message path "the file"
                        Expect.isFalse (error.Message.Contains '\n') "one line"

                    Expect.isEmpty second.Keys "nothing taken")
        }
    ]
