/// What training scripts save by torch.save, written by PyTorch itself where python3-torch is installed.
module LmcDsl.Tests.Process.TorchFileTests

open System
open System.IO
open Expecto
open LmcDsl
open LmcDsl.Core.Checkpoints
open LmcDsl.Tests.Fixtures

let private script = Path.Combine(__SOURCE_DIRECTORY__, "pytorch_files.py")

let private pytorchIsThere = lazy (hasPython "torch")

// Written once for all tests.
let private written =
    lazy
        (let folder = Directory.CreateTempSubdirectory("lmcdsl-torch-").FullName
         AppDomain.CurrentDomain.ProcessExit.Add(fun _ -> Directory.Delete(folder, recursive = true))
         let code, output, errors = runProgram folder python [ script; "files" ]
         Expect.equal code 0 (output + errors)
         Path.Combine(folder, "files"))

let private onFiles (work: string -> unit) =
    if not pytorchIsThere.Value then
        skiptest "python3-torch is not installed"

    work written.Value

/// Names, types, shapes and bytes of what a file holds, in its order.
let private contentOf (source: TensorSource) =
    [
        for entry in source.Entries do
            use tensor = source.Read entry.Name
            entry.Name, entry.Type.Name, List.ofSeq entry.Shape, Convert.ToHexString(tensor.bytes.ToArray())
    ]

let private asNetwork (path: string) key = Checkpoint.Open(path, smallMlp, NameMap.For smallMlp, key)

let private modelOf (path: string) key =
    let placement = asNetwork path key
    use _ = placement.Source
    use model = Checkpoint.Load placement
    bytes model

let tests =
    testSequenced (
        testList "PyTorch's files" [
            test "what surrounds a state dict is read without being run, and the state dict is what PyTorch has" {
                onFiles (fun folder ->
                    let files = Directory.GetFiles(Path.Combine(folder, "read"), "*.pt")
                    Expect.isGreaterThan files.Length 40 "many ways to save a model"

                    for path in files do
                        use source = TensorSource.Open path
                        use expected = TensorSource.Open(Path.ChangeExtension(path, "safetensors"))
                        Expect.equal (contentOf source) (contentOf expected) (Path.GetFileName path)

                    Expect.isEmpty (Directory.GetFiles(folder, "pwned", SearchOption.AllDirectories)) "nothing was run")
            }

            test "a model is found behind any prefix, among other models and beside losses" {
                onFiles (fun folder ->
                    let expected = modelOf (Path.Combine(folder, "fits.safetensors")) null

                    for path in Directory.GetFiles(Path.Combine(folder, "fits"), "*.pt") do
                        Expect.equal (modelOf path null) expected (Path.GetFileName path)

                    Expect.equal (modelOf (Path.Combine(folder, "sharded")) null) expected "a folder of shards")
            }

            test "where several fit they are listed, and a key chooses" {
                onFiles (fun folder ->
                    let path = Path.Combine(folder, "choices.pt")

                    failsWith
                        [
                            "found 3"
                            "model (6 tensors)"
                            "ema (6 tensors)"
                            "nested.teacher.net (6 tensors)"
                            "--key"
                        ]
                        (fun () -> asNetwork path null |> ignore)

                    let plain, ema =
                        modelOf (Path.Combine(folder, "fits.safetensors")) null,
                        modelOf (Path.Combine(folder, "ema.safetensors")) null

                    Expect.equal (modelOf path "ema") ema "ema"

                    for key in [ "model"; "nested.teacher"; "nested.teacher.net" ] do
                        Expect.equal (modelOf path key) plain key

                    failsWith [ "'best'"; "model (6 tensors)" ] (fun () -> asNetwork path "best" |> ignore))
            }

            test "what holds no state dict, or none that can be told, is refused by what it is" {
                onFiles (fun folder ->
                    let cases = Json.parse (File.ReadAllText(Path.Combine(folder, "cases.json")))

                    match cases with
                    | Json.Object cases ->
                        Expect.isGreaterThan cases.Length 15 "many of them"

                        for name, words in cases do
                            let path = Path.Combine(folder, "refused", name)

                            failsWith (name :: [ for word in words.Items -> word.String ]) (fun () ->
                                asNetwork path null |> ignore)
                    | _ -> failtest "expected an object"

                    Expect.isEmpty (Directory.GetFiles(folder, "pwned", SearchOption.AllDirectories)) "nothing was run")
            }
        ]
    )
