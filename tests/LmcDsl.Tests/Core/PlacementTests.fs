/// Which parameter each tensor of a file is: prefixes, wrappers, choices, numbered layers, and what is said where nothing fits.
module LmcDsl.Tests.Core.PlacementTests

open System.Collections.Immutable
open System.Diagnostics
open System.IO
open System.Linq
open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Checkpoints
open LmcDsl.Core.Runtime
open LmcDsl.Tests.Fixtures
open TorchSharp

let private resnet = Network(Catalogue.ResNet20([| 3; 8; 8 |], 0.25, 10, Norm.Batch))

let private write path (tensors: (string * torch.Tensor) list) =
    use file = File.Create path
    SafeTensors.Write(file, tensors.Select(fun (name, t) -> struct (name, t)).ToArray(), null)

/// Writes tensors and opens them as a network's.
let private opened (network: Network) key (tensors: (string * torch.Tensor) list) (work: Placement -> unit) =
    inFolder (fun folder ->
        let path = Path.Combine(folder, "a.safetensors")
        write path tensors
        let placement = Checkpoint.Open(path, network, NameMap.For network, key)
        use _ = placement.Source
        work placement)

let private refused network key words tensors = failsWith words (fun () -> opened network key tensors ignore)

let private named (rename: string -> string) (model: ParameterSet) =
    [ for spec, view in Seq.zip model.Network.Parameters model.Views -> rename spec.Name, view ]

let private mlp = randomParameters smallMlp 1L
let private another = randomParameters smallMlp 2L

/// A ResNet's names as CIFAR versions have them.
let private theirs (name: string) =
    let block = System.Text.RegularExpressions.Regex(@"^stage(\d)\.(\d+)\.")

    let name = block.Replace(name, fun m -> $"layer{m.Groups[1].Value}.{int m.Groups[2].Value - 1}.")

    name
        .Replace("stem.norm.", "bn1.")
        .Replace("stem.", "conv1.")
        .Replace("conv1.norm.", "bn1.")
        .Replace("conv2.norm.", "bn2.")
        .Replace("shortcut.norm.", "shortcut.1.")
        .Replace("shortcut.weight", "shortcut.0.weight")
        .Replace("fc.", "linear.")

/// The parameters of a CIFAR ResNet of n blocks a stage, zeros.
let private cifarResNet blocks =
    [
        "conv1.weight", torch.zeros (16L, 3L, 3L, 3L)
        for stage in 1..3 do
            for block in 0 .. blocks - 1 do
                let width = 16L <<< (stage - 1)
                let from = if block = 0 && stage > 1 then width / 2L else width
                $"layer{stage}.{block}.conv1.weight", torch.zeros (width, from, 3L, 3L)
                $"layer{stage}.{block}.bn1.weight", torch.zeros width
                $"layer{stage}.{block}.bn1.running_mean", torch.zeros width
                $"layer{stage}.{block}.conv2.weight", torch.zeros (width, width, 3L, 3L)
        "linear.weight", torch.zeros (10L, 64L)
    ]

let tests =
    testList "Placement" [
        for prefix in
            [
                "module."
                "_orig_mod."
                "_orig_mod.module."
                "module._orig_mod."
                "module.module._orig_mod."
                "model."
                "net.encoder."
                "ema_model."
                "model._orig_mod."
                "_fsdp_wrapped_module._orig_mod."
            ] do
            test $"names after '{prefix}' are found, ours and others'" {
                for rename in [ id; theirs ] do
                    use model = randomParameters resnet 3L

                    opened resnet null (named (rename >> (+) prefix) model) (fun placement ->
                        use read = Checkpoint.Load placement
                        Expect.equal (bytes read) (bytes model) "the same numbers")
            }

        test "a wrapper within names does not count either" {
            opened smallMlp null (named (fun name -> name.Replace(".", "._orig_mod.")) mlp) (fun placement ->
                use read = Checkpoint.Load placement
                Expect.equal (bytes read) (bytes mlp) "the same numbers")
        }

        test "the prefix is said, and what lies beside the model is copied as it is" {
            let beside = [ "criterion.weight", torch.ones 3L; "n_averaged", torch.tensor (7L) ]

            opened smallMlp null (named ((+) "model.net.") mlp @ beside) (fun placement ->
                Expect.equal placement.Prefix "model.net." "the prefix"

                for words in
                    [ "prefix 'model.net.' taken off"; "2 tensors beside the model"; "criterion.weight, n_averaged" ] do
                    Expect.stringContains placement.Note words "said"

                use file = new MemoryStream()
                Checkpoint.Save(file, another, placement)
                use back = SafeTensors.Read(System.ReadOnlySpan(file.ToArray()), "back")
                Expect.equal (back.Tensors["n_averaged"].ToInt64()) 7L "copied"

                Expect.equal
                    (difference back.Tensors["model.net.fc1.weight"] another["fc1.weight"])
                    0.0
                    "the model's own")
        }

        test
            "a parameter under two names, such as an embedding that is its output too, is read once and written under both" {
            let twice (of': ParameterSet) = named id of' @ [ "again.weight", of'["fc1.weight"] ]

            opened smallMlp null (twice mlp) (fun placement ->
                use read = Checkpoint.Load placement
                Expect.equal (bytes read) (bytes mlp) "the model"
                Expect.stringContains placement.Note "again.weight as fc1.weight" "said"
                use file = new MemoryStream()
                Checkpoint.Save(file, another, placement)
                use back = SafeTensors.Read(System.ReadOnlySpan(file.ToArray()), "back")
                Expect.equal (difference back.Tensors["again.weight"] another["fc1.weight"]) 0.0 "under the other name")

            // Other numbers are another parameter, and numbers that are all alike may be any.
            for stranger in [ another["fc1.weight"]; torch.zeros_like mlp["fc1.weight"] ] do
                refused smallMlp null [ "not expected"; "again.weight" ] (named id mlp @ [ "again.weight", stranger ])
        }

        test "where several models fit they are listed, and a key chooses one" {
            let both = named ((+) "student.") mlp @ named ((+) "teacher.") another
            refused smallMlp null [ "found 2"; "student (6 tensors)"; "teacher (6 tensors)"; "--key" ] both

            for key, model in [ "student", mlp; "teacher", another ] do
                opened smallMlp key both (fun placement ->
                    use read = Checkpoint.Load placement
                    Expect.equal (bytes read) (bytes model) key)

            let averaged = named id mlp @ named ((+) "ema.") another
            refused smallMlp null [ "found 2"; ". (6 tensors)"; "ema (6 tensors)" ] averaged

            for key, model in [ ".", mlp; "ema", another ] do
                opened smallMlp key averaged (fun placement ->
                    use read = Checkpoint.Load placement
                    Expect.equal (bytes read) (bytes model) key)

            refused smallMlp "nobody" [ "'nobody'"; ". (12 tensors)" ] averaged
        }

        test "counters of batches may be there or not, with any prefix" {
            use model = randomParameters resnet 3L
            let counters = [ "m.bn1.num_batches_tracked", torch.tensor (7L); "num_batches_tracked", torch.tensor (1L) ]

            for more in [ []; counters ] do
                opened resnet null (named (theirs >> (+) "m.") model @ more) (fun placement ->
                    use read = Checkpoint.Load placement
                    Expect.equal (bytes read) (bytes model) "read")
        }

        test "numbered layers with dropout, norms or a flatten between are matched in their order" {
            for numbers in [ [ 0; 2; 4 ]; [ 1; 3; 5 ]; [ 1; 4; 7 ]; [ 0; 3; 10 ]; [ 2; 11; 100 ] ] do
                let rename (name: string) =
                    let number = numbers[int name[2..2] - 1]
                    $"{number}{name.Substring 3}"

                for prefix in [ ""; "net."; "module.layers." ] do
                    // As safetensors' writers sort: 10 before 2.
                    let sorted = named (rename >> (+) prefix) mlp |> List.sortBy fst

                    opened smallMlp null sorted (fun placement ->
                        use read = Checkpoint.Load placement
                        Expect.equal (bytes read) (bytes mlp) $"{prefix}{numbers}")
        }

        test "a chain with batch norm between its layers too, and a VGG's features and classifier" {
            let normed =
                Architecture(
                    "normed",
                    ImmutableArray.Create(1, 2, 3),
                    ImmutableArray.CreateRange [
                        LayerNode("flatten", Flatten(), ImmutableArray.Create "input")
                        LayerNode("a", Dense 5, ImmutableArray.Create "flatten")
                        LayerNode("b", BatchNorm(), ImmutableArray.Create "a")
                        LayerNode("c", Activation ActivationFunction.Relu, ImmutableArray.Create "b")
                        LayerNode("d", Dense 3, ImmutableArray.Create "c")
                    ]
                )
                |> Network

            use model = randomParameters normed 1L
            let numbers = dict [ "a", "0"; "b", "1"; "d", "4" ]
            let rename (name: string) = numbers[name[0..0]] + name.Substring 1

            opened normed null (named rename model) (fun placement ->
                use read = Checkpoint.Load placement
                Expect.equal (bytes read) (bytes model) "with norms")

            let vgg = Network(Catalogue.Vgg11([| 3; 32; 32 |], 0.0625, 10, Norm.None))
            use model = randomParameters vgg 1L

            // With an activation and dropout after each convolution: not the numbers of any usual version.
            let rename (name: string) =
                if name.StartsWith "fc" then
                    "classifier.1" + name.Substring 2
                else
                    $"features.{3 * int name[4..4]}{name.Substring 5}"

            opened vgg null (named rename model |> List.sortBy fst) (fun placement ->
                use read = Checkpoint.Load placement
                Expect.equal (bytes read) (bytes model) "VGG")
        }

        test "numbers that do not fit are not matched by their order" {
            let swapped = named (fun name -> $"{9 - int name[2..2]}{name.Substring 3}") mlp

            refused smallMlp null [ "missing"; "fc1.weight" ] swapped
        }

        test "a user's map comes before the usual names, and does not replace them" {
            let map =
                (NameMap.FromJson("""{"backbone\\.(.*)": "$1", "last\\.(.*)": "fc.$1"}""", "map"))
                    .Then(NameMap.For resnet)

            Expect.equal
                (map.Apply "backbone.layer1.0.conv1.weight")
                "stage1.1.conv1.weight"
                "the map, then the usual names"

            Expect.equal (map.Apply "layer2.0.downsample.0.weight") "stage2.1.shortcut.weight" "the usual names alone"
            Expect.equal (map.Apply "module.last.bias") "fc.bias" "the map alone"

            for text in
                [
                    """{"a": null}"""
                    """{"a": 1}"""
                    """{"a": {"b": "c"}}"""
                    "null"
                    "[]"
                    "{"
                    "\"x\""
                    """{"(": "x"}"""
                    """{"(a)\\1": "x"}"""
                ] do
                failsWith [ "map.json" ] (fun () -> NameMap.FromJson(text, "map.json") |> ignore)
        }

        test "a map of names without end, or with patterns that take for ever, is refused" {
            let many = [ for k in 1..1001 -> $"\"a{k}\": \"b\"" ] |> String.concat ","

            failsWith [ "map.json"; "1000 patterns"; "1001" ] (fun () ->
                NameMap.FromJson("{" + many + "}", "map.json") |> ignore)

            let long = System.String('a', 3000)

            failsWith [ "map.json"; "2000 characters" ] (fun () ->
                NameMap.FromJson($"{{\"{long}\": \"b\"}}", "map.json") |> ignore)

            for pattern in [ "((a{1,1000}){1,1000}){1,1000}"; "a{1,99999}" ] do
                failsWith [ "map.json" ] (fun () -> NameMap.FromJson($"{{\"{pattern}\": \"b\"}}", "map.json") |> ignore)

            let slow = NameMap.FromJson("""{"((a{1,30}){1,30})b": "b"}""", "map.json")
            let clock = Stopwatch.StartNew()

            try
                slow.Apply(String.replicate 200 "a") |> ignore
            with :? LmcException as error ->
                Expect.stringContains error.Message "matched at once" "told"

            Expect.isLessThan clock.Elapsed.TotalSeconds 60.0 "ended"
        }

        test "a network of another depth is told by what the file looks like, with the first ten that differ" {
            let network = Network(Catalogue.ResNet20([| 3; 32; 32 |], 1.0, 10, Norm.Batch))

            for blocks, depth in [ 5, 32; 9, 56; 18, 110 ] do
                try
                    opened network null (cifarResNet blocks |> List.map (fun (name, t) -> "model." + name, t)) ignore
                    failtest "expected a misfit"
                with :? LmcException as error ->
                    for words in
                        [
                            "after the prefix 'model.'"
                            $"looks like resnet{depth} for CIFAR (blocks {blocks}, {blocks}, {blocks}), width 1, batch norm"
                            "which is resnet20 for CIFAR (blocks 3, 3, 3), width 1"
                            "more"
                        ] do
                        Expect.stringContains error.Message words "said"

                    Expect.isLessThan error.Message.Length 3000 "not every tensor"
        }

        test "the longest prefix of all names is said where nothing fits, and what the file looks like" {
            let network = Network(Catalogue.ResNet20([| 3; 32; 32 |], 1.0, 10, Norm.Batch))

            refused
                network
                null
                [
                    "after the prefix 'net.encoder.'"
                    "looks like --arch mlp --hidden 5 4 (6 inputs, 3 outputs)"
                    "not expected: net.encoder.fc1.weight [5, 6]"
                ]
                (named ((+) "net.encoder.") mlp)

            refused network null [ "looks like a transformer" ] [
                "a.attn.weight", torch.zeros 3L
                "b.weight", torch.zeros 2L
            ]
        }

        test "an MLP of other widths is told by the arguments that read it" {
            let network = Network(Catalogue.Mlp([| 1; 2; 3 |], [| 16; 8 |], 3))

            refused
                network
                null
                [
                    "fc1.weight [5, 6] where fc1.weight [16, 6]"
                    "looks like --arch mlp --hidden 5 4 (6 inputs, 3 outputs)"
                ]
                (named id mlp)
        }

        test "60,000 counters and 60,000 strangers take no time, and no message of megabytes" {
            let clock = Stopwatch.StartNew()
            let one = torch.tensor (1L)
            let counters = [ for k in 1..60_000 -> $"m.layer{k}.num_batches_tracked", one ]

            opened smallMlp null (named ((+) "m.") mlp @ counters) (fun placement ->
                use stream = new MemoryStream()
                Checkpoint.Save(stream, another, placement))

            let strangers = [ for k in 1..60_000 -> $"layer1.{k}.conv1.weight", one ]

            try
                opened resnet null strangers ignore
                failtest "expected a misfit"
            with :? LmcException as error ->
                Expect.isLessThan error.Message.Length 3000 "a message that can be read"

            try
                opened resnet null [ System.String('x', 5_000_000), one ] ignore
                failtest "expected a misfit"
            with :? LmcException as error ->
                Expect.isLessThan error.Message.Length 5000 "a long name is cut too"

            Expect.isLessThan clock.Elapsed.TotalSeconds 60.0 "linear time"
        }
    ]
