/// The command `lmc` on folders as Hugging Face's libraries write them.
module LmcDsl.Tests.Process.HuggingFaceToolTests

open System
open System.IO
open System.Text.Json.Nodes
open Expecto
open LmcDsl
open LmcDsl.Core.Architectures
open LmcDsl.Core.Checkpoints
open LmcDsl.Core.Importing
open LmcDsl.Core.Permutations
open LmcDsl.Tests.Fixtures
open TorchSharp

/// A model of a few hundred numbers, as `config.json` describes it.
let private small =
    """{"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 7, "hidden_size": 8, "intermediate_size": 6,
        "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "hidden_act": "silu", "max_position_embeddings": 16,
        "rms_norm_eps": 1e-6, "tie_word_embeddings": false, "rope_theta": 10000.0}"""

let private tensors: (string * int64 list) list =
    [
        "model.embed_tokens.weight", [ 7L; 8L ]
        "model.layers.0.input_layernorm.weight", [ 8L ]
        "model.layers.0.self_attn.q_proj.weight", [ 8L; 8L ]
        "model.layers.0.self_attn.k_proj.weight", [ 4L; 8L ]
        "model.layers.0.self_attn.v_proj.weight", [ 4L; 8L ]
        "model.layers.0.self_attn.o_proj.weight", [ 8L; 8L ]
        "model.layers.0.post_attention_layernorm.weight", [ 8L ]
        "model.layers.0.mlp.gate_proj.weight", [ 6L; 8L ]
        "model.layers.0.mlp.up_proj.weight", [ 6L; 8L ]
        "model.layers.0.mlp.down_proj.weight", [ 8L; 6L ]
        "model.norm.weight", [ 8L ]
        "lm_head.weight", [ 7L; 8L ]
    ]

let private drawn (seed: int64) =
    use generator = Core.Runtime.Seeds.Generator(seed, "folder")
    [ for name, shape in tensors -> name, torch.randn (List.toArray shape, generator = generator) ]

let private writeConfig (folder: string) (changes: (string * string) list) =
    let config = JsonNode.Parse small |> Option.ofObj |> Option.get

    for name, value in changes do
        config[name] <- JsonNode.Parse value

    File.WriteAllText(Path.Combine(folder, "config.json"), config.ToJsonString())

let private write (folder: string) (changes: (string * string) list) (numbers: (string * torch.Tensor) list) =
    Directory.CreateDirectory folder |> ignore
    writeConfig folder changes
    use file = File.Create(Path.Combine(folder, "model.safetensors"))
    SafeTensors.Write(file, [| for name, tensor in numbers -> struct (name, tensor) |])

let private describe (folder: string) =
    LmcDsl.Tool.DescribeCommand.run (Argu.ArgumentParser.Create<LmcDsl.Tool.ModelArgument>("lmc").Parse [| folder |])

let private read (folder: string) =
    use source = TensorSource.Open folder

    Map [
        for entry in source.Entries do
            use tensor = source.Read entry.Name
            entry.Name, (entry.Type.Name, tensor.contiguous().bytes.ToArray())
    ]

/// A folder's own permuted copy, beside it.
let private permuted (folder: string) (into: string) (seed: int64) =
    Directory.CreateDirectory into |> ignore

    for path in Directory.GetFiles(folder, "*.json") do
        File.Copy(path, Path.Combine(into, FileInfo(path).Name))

    use model = ModelFolder.Open folder
    let network = Network model.Architecture
    let placement = model.Place network
    let element = PermutationSet.Random(network, seed)

    for part in placement.Source.Parts do
        use file = File.Create(Path.Combine(into, ModelFolder.Written part))
        Checkpoint.SavePermuted(file, element, placement, part)

let private folders (above: string) =
    Directory.GetFileSystemEntries above
    |> Array.map (fun path -> FileInfo(path).Name)
    |> Array.sort
    |> List.ofArray

let private script = Path.Combine(__SOURCE_DIRECTORY__, "hf_folders.py")

let private isThere = lazy (hasPython "torch, onnx")

let tests =
    testSequenced (
        testList "Hugging Face tool" [
            test "folders are described, aligned, merged and measured without a word of what they are" {
                use _ = torch.NewDisposeScope()

                inFolder (fun folder ->
                    let at name = Path.Combine(folder, name)
                    write (at "a") [ "_name_or_path", "\"org/a\"" ] (drawn 1L)
                    write (at "b") [ "_name_or_path", "\"org/b\"" ] (drawn 2L)
                    File.WriteAllText(Path.Combine(at "a", "tokenizer.json"), "{}")
                    File.WriteAllText(Path.Combine(at "b", "tokenizer.json"), "{ }")
                    Directory.CreateDirectory(Path.Combine(at "a", "1_Pooling")) |> ignore
                    File.WriteAllText(Path.Combine(at "a", "1_Pooling", "config.json"), "{}")
                    File.WriteAllText(Path.Combine(at "a", "training_args.bin"), "")
                    File.WriteAllText(Path.Combine(at "a", "README.md"), "mine")
                    writeConfig (at "a") [ "_name_or_path", "\"org/a\""; "id2label", """{"0": "yes", "1": "no"}""" ]
                    writeConfig (at "b") [ "_name_or_path", "\"org/b\""; "id2label", """{"0": "no", "1": "yes"}""" ]

                    let described = lmc folder [ "describe"; "a/"; "--json" ] |> done' |> Json.parse
                    Expect.equal described["network"].String "llama" "its type"
                    Expect.isGreaterThan described["that may move (%)"].Float 99.0 "nearly all moves"

                    let merged = lmc folder [ "merge"; "a/"; "b/"; "-o"; "merged/"; "--json" ] |> done' |> Json.parse
                    Expect.stringContains (Json.text merged["read"]) "other content of tokenizer.json" "said"
                    Expect.stringContains (Json.text merged["read"]) "other names of classes" "said"
                    Expect.equal (Json.text merged["files not taken along"]) """["training_args.bin"]""" "left out"

                    Expect.equal
                        (contentsOf (at "merged") |> List.map fst)
                        [ "1_Pooling/config.json"; "README.md"; "config.json"; "model.safetensors"; "tokenizer.json" ]
                        "a folder that from_pretrained takes"

                    let card = File.ReadAllText(Path.Combine(at "merged", "README.md"))

                    for part in
                        [
                            "base_model:\n- org/a\n- org/b\n"
                            "- merge"
                            "lmc merge a/ b/ -o merged/"
                            contentsOf (at "a")
                            |> List.find (fst >> (=) "model.safetensors")
                            |> snd
                            |> _.ToLowerInvariant()
                            "| search | outward WM |"
                            "L2 to the first, before"
                        ] do
                        Expect.stringContains card part "the card"

                    use source = TensorSource.Open(at "merged")
                    Expect.equal source.Metadata["format"] "pt" "some readers ask for it"

                    Expect.equal
                        [ for entry in source.Entries -> entry.Name, List.ofSeq entry.Shape ]
                        tensors
                        "the same tensors in the same order"

                    lmc folder [ "align"; "a"; "b"; "-o"; "aligned" ] |> done' |> ignore

                    let measured =
                        lmc folder [ "measure"; "a"; "aligned"; "merged"; "--metric"; "l2"; "--json" ]
                        |> done'
                        |> Json.parse

                    let l2 k = measured["measured"].Items[k].["L2"].Float
                    Expect.floatClose Expecto.Accuracy.medium (l2 1) (l2 0 / 2.0) "the mean is halfway"
                    // A rotated model is no permuted one, and its numbers are written all the same.
                    lmc folder [ "align"; "a"; "b"; "-o"; "rotated"; "--search"; "rotatedwm" ] |> done' |> ignore
                    Expect.isTrue (Directory.Exists(at "rotated")) "there"

                    // The one who writes is not in the way of who is there.
                    lmc folder [ "merge"; "a"; "b"; "-o"; "merged" ] |> refused [ "merged"; "a new folder" ]
                    lmc folder [ "merge"; "a"; "b"; "-o"; "m.safetensors" ] |> refused [ "a folder to write" ]
                    // A slip in a name is told as such, whatever is to be written.
                    lmc folder [ "merge"; "aa/"; "bb/"; "-o"; "x/" ] |> refused [ "aa/"; "no such file" ]

                    Expect.equal
                        (folders folder)
                        [ "a"; "aligned"; "b"; "merged"; "rotated" ]
                        "nothing but what was asked for")
            }

            test "a head that is not known keeps its features where they are, and is copied" {
                use _ = torch.NewDisposeScope()

                inFolder (fun folder ->
                    let at name = Path.Combine(folder, name)
                    let head seed = [ "my_head.weight", torch.randn (3L, 8L) * seed ]
                    write (at "a") [] (drawn 1L @ head 1)
                    write (at "b") [] (drawn 2L @ head 2)
                    let answer = lmc folder [ "align"; "a"; "b"; "-o"; "out"; "--json" ] |> done' |> Json.parse
                    Expect.stringContains (Json.text answer["read"]) "my_head.weight" "said"
                    Expect.stringContains (Json.text answer["read"]) "not permuted" "said"
                    let before, after = read (at "b"), read (at "out")

                    for same in [ "my_head.weight"; "model.norm.weight" ] do
                        Expect.equal after[same] before[same] same

                    Expect.notEqual
                        after["model.layers.0.mlp.up_proj.weight"]
                        before["model.layers.0.mlp.up_proj.weight"]
                        "what lies within blocks moves"

                    lmc folder [ "merge"; "a"; "b"; "-o"; "mean" ] |> done' |> ignore
                    Expect.equal (read (at "mean")).["my_head.weight"] (read (at "a")).["my_head.weight"] "the first's")
            }

            test "what is tied may be stored twice, with the same numbers" {
                use _ = torch.NewDisposeScope()

                inFolder (fun folder ->
                    let at name = Path.Combine(folder, name)

                    let tied seed =
                        let numbers = drawn seed |> Map

                        [
                            for name, _ in tensors ->
                                name,
                                (if name = "lm_head.weight" then
                                     numbers["model.embed_tokens.weight"]
                                 else
                                     numbers[name])
                        ]

                    write (at "a") [ "tie_word_embeddings", "true" ] (tied 1L)

                    write
                        (at "b")
                        [ "tie_word_embeddings", "true" ]
                        (tied 2L |> List.filter (fst >> (<>) "lm_head.weight"))

                    lmc folder [ "merge"; "a"; "b"; "-o"; "twice" ] |> done' |> ignore
                    let found = read (at "twice")
                    Expect.equal found["lm_head.weight"] found["model.embed_tokens.weight"] "still the same"
                    lmc folder [ "merge"; "b"; "a"; "-o"; "once" ] |> done' |> ignore
                    Expect.isFalse ((read (at "once")).ContainsKey "lm_head.weight") "as the first has it"
                    write (at "c") [ "tie_word_embeddings", "true" ] (drawn 3L)

                    lmc folder [ "merge"; "a"; "c"; "-o"; "x" ]
                    |> refused [ "lm_head.weight"; "model.embed_tokens.weight"; "tie_word_embeddings" ])
            }

            test "what a template does not compute is refused by its field" {
                use _ = torch.NewDisposeScope()

                inFolder (fun folder ->
                    let at name = Path.Combine(folder, name)
                    write (at "a") [] (drawn 1L)

                    for field, value, parts in
                        [
                            "hidden_act", "\"laplace\"", [ "silu"; "'laplace'" ]
                            "rope_scaling", """{"rope_type": "longrope", "factor": 2.0}""", [ "llama3"; "'longrope'" ]
                            "rope_scaling", """{"type": "linear"}""", [ "factor"; "found none" ]
                            "rope_scaling", """{"type": "linear", "factor": "2"}""", [ "factor"; "a number above 0" ]
                            "rope_scaling", """{"rope_type": 3}""", [ "rope_type"; "a text" ]
                            "rope_scaling", "4", [ "an object" ]
                            "rope_scaling",
                            """{"type": "yarn", "factor": 2, "mscale_all_dim": -1}""",
                            [ "mscale_all_dim"; "from 0 on" ]
                            "rope_parameters", """{"rope_type": "yarn", "factor": -1}""", [ "factor"; "-1" ]
                            "rope_parameters", """{"partial_rotary_factor": 0.5}""", [ "partial_rotary_factor" ]
                            "partial_rotary_factor", "0.5", [ "0.5" ]
                            "attn_logit_softcapping", "30.0", [ "30" ]
                            "quantization_config", """{"bits": 4}""", [ "none" ]
                            "pruned_heads", """{"0": [1]}""", [ "none" ]
                            "hidden_size", "\"8\"", [ "a whole number" ]
                            "hidden_size", "-8", [ "a whole number" ]
                            "num_hidden_layers", "2000000000", [ "at most 12" ]
                            "intermediate_size", "2147483647", [ "[6, 8]" ]
                            "vocab_size", "9", [ "embed_tokens.weight" ]
                            "num_hidden_layers", "2", [ "layers.1."; "missing" ]
                            "rms_norm_eps", "-1", [ "a number above 0" ]
                            "rope_theta", "0", [ "a number above 0" ]
                            "tie_word_embeddings", "1", [ "true or false" ]
                            "num_attention_heads", "3", [ "of another shape"; "q_proj.weight [6, 8]" ]
                            "model_type", "\"mamba\"", [ "gpt2"; "bert"; "llama"; "--graph"; "'mamba'" ]
                            "model_type", "\"lama\"", [ "llama" ]
                            "model_type", "null", [ "none" ]
                        ] do
                        writeConfig (at "a") [ field, value ]

                        let named =
                            if
                                field = "num_hidden_layers"
                                || field = "num_attention_heads"
                                || field = "vocab_size"
                                || field = "intermediate_size"
                            then
                                []
                            else
                                [ field ]

                        // Without a process for each.
                        failsWith ("a/" :: named @ parts) (fun () -> describe (at "a") |> ignore)

                    lmc folder [ "describe"; "a" ] |> refused [ "model_type"; "none" ]
                    // A window that no example reaches changes nothing.
                    writeConfig (at "a") [ "model_type", "\"mistral\""; "sliding_window", "4" ]
                    lmc folder [ "describe"; "a" ] |> refused [ "sliding_window"; "4" ]
                    lmc folder [ "describe"; "a"; "--input"; "4" ] |> done' |> ignore
                    lmc folder [ "describe"; "a"; "--input"; "17" ] |> refused [ "--input"; "16" ]
                    // Null is as many key heads as heads, whatever a type means by none.
                    writeConfig (at "a") [ "model_type", "\"mistral\""; "num_key_value_heads", "null" ]
                    lmc folder [ "describe"; "a" ] |> refused [ "of another shape"; "k_proj.weight" ]
                    writeConfig (at "a") [ "new_field", "3" ]
                    Expect.stringContains (lmc folder [ "describe"; "a" ] |> done') "new_field" "not known, and said"
                    writeConfig (at "a") [ "rope_scaling", """{"type": "linear", "factor": 2.0, "odd": 1}""" ]
                    Expect.stringContains (lmc folder [ "describe"; "a" ] |> done') "rope_scaling.odd" "and so within"
                    // Two that differ in what is computed.
                    write (at "b") [ "rope_theta", "500.0" ] (drawn 2L)
                    writeConfig (at "a") []

                    lmc folder [ "merge"; "a"; "b"; "-o"; "x" ]
                    |> refused [ "b/config.json"; "rope_theta"; "10000"; "500" ]
                    // And in what is not.
                    writeConfig (at "b") [
                        "use_cache", "false"
                        "torch_dtype", "\"float16\""
                        "attention_dropout", "0.5"
                    ]

                    lmc folder [ "merge"; "a"; "b"; "-o"; "x" ] |> done' |> ignore)
            }

            test "folders that are none, or not whole, are told in a line" {
                use _ = torch.NewDisposeScope()

                inFolder (fun folder ->
                    let at name = Path.Combine(folder, name)
                    write (at "a") [] (drawn 1L)
                    write (at "b") [] (drawn 2L)
                    let config = Path.Combine(at "b", "config.json")
                    let good = File.ReadAllText config

                    let badConfig (text: string) parts =
                        File.WriteAllText(config, text)
                        lmc folder [ "merge"; "a"; "b"; "-o"; "x" ] |> refused ("b/config.json" :: parts)

                    badConfig (good.Substring(0, good.Length / 2)) [ "no JSON" ]
                    badConfig "[1]" [ "a JSON object" ]
                    badConfig "" [ "no JSON" ]
                    badConfig (String.replicate 100 "[") [ "no JSON" ]
                    File.Delete config
                    lmc folder [ "merge"; "a"; "b"; "-o"; "x" ] |> refused [ "b/config.json" ]
                    File.WriteAllText(config, good)
                    let weights = Path.Combine(at "b", "model.safetensors")
                    let bytes = File.ReadAllBytes weights
                    File.WriteAllBytes(weights, bytes[.. bytes.Length / 2])
                    lmc folder [ "merge"; "a"; "b"; "-o"; "x" ] |> refused [ "b/model.safetensors" ]
                    File.Delete weights

                    lmc folder [ "merge"; "a"; "b"; "-o"; "x" ]
                    |> refused [ "b"; "a folder without model.safetensors" ]
                    // A shard that is not there.
                    let map =
                        [ for name, _ in tensors -> $"\"{name}\": \"model-00001-of-00002.safetensors\"" ]
                        |> String.concat ", "

                    File.WriteAllText(
                        Path.Combine(at "b", "model.safetensors.index.json"),
                        $"{{\"weight_map\": {{{map}}}}}"
                    )

                    lmc folder [ "merge"; "a"; "b"; "-o"; "x" ]
                    |> refused [ "model-00001-of-00002.safetensors"; "no such file" ]

                    lmc folder [ "merge"; "a"; "a/model.safetensors"; "-o"; "x" ]
                    |> refused [ "a/model.safetensors"; "a folder" ]

                    lmc folder [ "merge"; "a"; "none"; "-o"; "x" ] |> refused [ "none" ]

                    let code, _, errors = lmc folder [ "merge"; "a"; "b"; "-o"; "x"; "--key"; "y" ]
                    Expect.equal (code, errors.Trim().Split('\n').Length) (2, 1) errors
                    Expect.equal (folders folder) [ "a"; "b" ] "nothing written")
            }

            test "a folder is found again in its own permuted copy, whatever it is and however it is stored" {
                if not isThere.Value then
                    skiptest "python3-torch and python3-onnx are not installed"

                use _ = torch.NewDisposeScope()

                inFolder (fun folder ->
                    let at name = Path.Combine(folder, name)

                    let names =
                        [
                            "gpt2"
                            "gpt2_hub"
                            "bert_old"
                            "bert_classes"
                            "vit"
                            "llama_odd"
                            "llama_tied"
                            "qwen2"
                            "convnext"
                            "resnet"
                            "t5"
                        ]

                    runProgram folder python (script :: folder :: names) |> done' |> ignore

                    for name in names do
                        permuted (at name) (at $"{name}-moved") 3L

                        let answer =
                            lmc folder [ "align"; name; $"{name}-moved"; "-o"; $"{name}-out"; "--json" ]
                            |> done'
                            |> Json.parse

                        Expect.isGreaterThan answer["L2 before"].Float 0.0 $"{name}: it was moved"
                        Expect.equal answer["L2"].Float 0.0 $"{name}: found again"
                        Expect.equal (read (at $"{name}-out")) (read (at name)) $"{name}: every tensor, bit for bit"
                        // The same layout, in safetensors.
                        use original = TensorSource.Open(at name)
                        use written = TensorSource.Open(at $"{name}-out")

                        Expect.equal
                            (List.ofSeq written.Parts)
                            [ for part in original.Parts -> ModelFolder.Written part ]
                            name

                        for part in written.Parts do
                            Expect.equal
                                [
                                    for e in written.Entries do
                                        if written.PartOf e.Name = part then
                                            e.Name
                                ]
                                [
                                    for e in original.Entries do
                                        if ModelFolder.Written(original.PartOf e.Name) = part then
                                            e.Name
                                ]
                                $"{name}: what is in {part}")
            }

            test "the user's own tokens and images measure folders, and activations on them align" {
                if not isThere.Value then
                    skiptest "python3-torch and python3-onnx are not installed"

                use _ = torch.NewDisposeScope()

                inFolder (fun folder ->
                    let names = [ "bert_classes"; "vit" ]
                    runProgram folder python (script :: folder :: names) |> done' |> ignore

                    let data =
                        "import numpy as np; r = np.random.RandomState(0)\n"
                        + "def save(name, x, classes): np.savez(name, x_train=x[:60], x_test=x[60:], y_train=r.randint(0, classes, 60), y_test=r.randint(0, classes, 40))\n"
                        + "save('bert_classes.npz', r.randint(0, 31, (100, 10)), 5); save('vit.npz', r.randn(100, 3, 8, 8).astype('f'), 10)\n"
                        + "save('wild.npz', r.randint(0, 60, (100, 10)), 5)"

                    runProgram folder python [ "-c"; data ] |> done' |> ignore

                    for name in names do
                        permuted (Path.Combine(folder, name)) (Path.Combine(folder, $"{name}-moved")) 3L
                        let on = [ "--data"; $"{name}.npz"; "--json" ]

                        let measured =
                            lmc
                                folder
                                ([ "measure"; name; $"{name}-moved"; "--metric"; "barrier"; "--points"; "3" ] @ on)
                            |> done'
                            |> Json.parse

                        Expect.isGreaterThanOrEqual
                            measured["measured"].Items[0].["loss barrier (nats)"].Float
                            0.0
                            name

                        let answer =
                            lmc folder ([ "align"; name; $"{name}-moved"; "-o"; $"{name}-out"; "--search"; "am" ] @ on)
                            |> done'
                            |> Json.parse

                        Expect.equal answer["L2"].Float 0.0 $"{name}: found again by what its units do"

                    lmc folder [
                        "measure"
                        "bert_classes"
                        "bert_classes"
                        "--metric"
                        "barrier"
                        "--data"
                        "wild.npz"
                    ]
                    |> refused [ "--data"; "from 0 to 30" ]

                    let network =
                        Network.ofFile (Path.Combine(folder, "vit")) (DataSet.ofNpz (Path.Combine(folder, "vit.npz")))

                    Expect.equal network.Name "vit" "in a script")
            }
        ]
    )
