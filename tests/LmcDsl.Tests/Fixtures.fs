/// Networks, data and folders that several tests use.
module LmcDsl.Tests.Fixtures

open System
open System.Collections.Immutable
open System.Diagnostics
open System.IO
open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Data
open LmcDsl.Core.Runtime
open TorchSharp

// Before any test file makes a tensor: they all use this one.
TorchRuntime.Load() |> ignore
TorchRuntime.UseThreads 2

/// Rounding of float32 sums over some hundred terms of order one.
let float32Rounding = 1e-4

/// Rounding of double sums.
let doubleRounding = 1e-9

/// Cases of a property: few in CI, LMC_CASES of them in a long run.
let cases few =
    match Environment.GetEnvironmentVariable "LMC_CASES" with
    | null
    | "" -> few
    | text -> int text

let private isLongRun = not (String.IsNullOrEmpty(Environment.GetEnvironmentVariable "LMC_CASES"))

/// The same cases in each run, so that a change is what makes a test fail; new ones in a long run.
let config few =
    { FsCheckConfig.defaultConfig with
        maxTest = cases few
        replay = if isLongRun then None else Some(20240204051UL, 7UL, None)
    }

/// A small multilayer perceptron on images of 1 x 2 x 3.
let smallMlp = Network(Catalogue.Mlp([| 1; 2; 3 |], [| 5; 4 |], 3))

/// Writes down a network with numbered layers.
type private RandomChain() =
    let nodes = ResizeArray<LayerNode>()

    /// Adds a layer that reads `inputs`, and gives its name.
    member _.Add(layer: Layer, inputs: string list) : string =
        let name = $"n{nodes.Count}"
        nodes.Add(LayerNode(name, layer, ImmutableArray.CreateRange inputs))
        name

    member _.Build(input: int list) =
        Architecture("random", ImmutableArray.CreateRange input, ImmutableArray.CreateRange nodes)

/// Draws an architecture of dense layers, norms, activations and residual sums (nested, and sharing stages).
let private randomDense (random: Random) =
    let chain = RandomChain()
    let functions = Enum.GetValues<ActivationFunction>()

    let rec block depth width at =
        match random.Next(if depth = 0 then 4 else 5) with
        | 0 -> chain.Add(Activation functions[random.Next functions.Length], [ at ]), width
        | 1 -> chain.Add(BatchNorm(), [ at ]), width
        | 2 -> chain.Add(LayerNorm(), [ at ]), width
        | 3 ->
            let units = random.Next(1, 7)
            chain.Add(Dense(units, random.Next 2 = 0), [ at ]), units
        | _ ->
            // A residual: the branch ends at the stage's width again; the shortcut is the identity or a dense layer.
            let branch, inner = block (depth - 1) width at
            let branch = if inner = width then branch else chain.Add(Dense(width, true), [ branch ])
            let branch = chain.Add(Dense(width, true), [ branch ])
            let shortcut = if random.Next 2 = 0 then at else chain.Add(Dense(width, false), [ at ])
            chain.Add(Sum(), [ branch; shortcut ]), width

    let input = [ random.Next(1, 3); random.Next(1, 3); random.Next(1, 3) ]
    let first = random.Next(1, 7)
    let start = chain.Add(Dense(first, true), [ chain.Add(Flatten(), [ Architecture.InputName ]) ])
    let last, _ = ((start, first), [ 1 .. random.Next(0, 6) ]) ||> List.fold (fun (at, width) _ -> block 2 width at)
    chain.Add(Dense(random.Next(1, 5), true), [ last ]) |> ignore
    chain.Build input

/// Draws an architecture of convolutions, pooling, norms and residual blocks with every kind of shortcut, ended by a
/// flatten over positions or a global pool.
let private randomConvolutional (random: Random) =
    let chain = RandomChain()

    let normed at =
        match random.Next 3 with
        | 0 -> chain.Add(BatchNorm(), [ at ])
        | 1 -> chain.Add(GroupNorm(), [ at ])
        | _ -> at

    let convolve channels kernel stride at =
        let layer = Convolution(channels, kernel, stride, kernel / 2, random.Next 2 = 0)
        normed (chain.Add(layer, [ at ]))

    let active at = chain.Add(Activation ActivationFunction.Relu, [ at ])

    let rec block depth channels side at =
        match random.Next(if depth = 0 then 3 else 5) with
        | 0 ->
            let wider = random.Next(1, 5)
            active (convolve wider 3 1 at), wider, side
        | 1 when side >= 2 ->
            let pool = [| PoolingFunction.Max; PoolingFunction.Average |]
            chain.Add(Pooling(pool[random.Next 2], 2), [ at ]), channels, side / 2
        | 1
        | 2 -> normed at, channels, side
        | 3 when side >= 2 && side % 2 = 0 ->
            // Half the side: a strided branch, with strided subsampling or a strided convolution as the shortcut.
            let branch = convolve channels 3 1 (active (convolve channels 3 2 at))

            let shortcut =
                match random.Next 3 with
                | 0 -> chain.Add(Pooling(PoolingFunction.First, 1, 2), [ at ])
                | 1 -> convolve channels 1 2 at
                | _ -> convolve channels 3 2 at

            active (chain.Add(Sum(), [ branch; shortcut ])), channels, side / 2
        | _ ->
            let inner, _, innerSide = block (depth - 1) channels side at
            let inner = if innerSide = side then inner else at
            let branch = convolve channels 3 1 (active (convolve (random.Next(1, 4)) 1 1 inner))
            let shortcut = if random.Next 2 = 0 then at else convolve channels 1 1 at
            active (chain.Add(Sum(), [ branch; shortcut ])), channels, side

    let side = [| 4; 6; 8 |][random.Next 3]
    let stem = random.Next(1, 5)
    let start = active (convolve stem 3 1 Architecture.InputName)

    let last, _, _ =
        ((start, stem, side), [ 1 .. random.Next(1, 5) ])
        ||> List.fold (fun (at, channels, side) _ -> block 2 channels side at)

    let pooled =
        if random.Next 2 = 0 then
            chain.Add(Pooling(PoolingFunction.Average, 0), [ last ])
        else
            last

    chain.Add(Dense(random.Next(1, 5), true), [ chain.Add(Flatten(), [ pooled ]) ]) |> ignore
    chain.Build [ random.Next(1, 4); side; side ]

/// Draws an architecture: dense or convolutional, chains, residuals, nested residuals, shared stages.
let randomArchitecture (random: Random) = if random.Next 2 = 0 then randomDense random else randomConvolutional random

/// Parameters drawn at random, norms and running statistics included, so that no symmetry is there by chance.
let randomParameters (network: Network) (seed: int64) =
    use _ = torch.NewDisposeScope()
    use generator = Seeds.Generator(seed, "test parameters")
    let values = torch.randn(network.TotalCount, generator = generator).mul_(0.5f.ToScalar())
    let parameters = new ParameterSet(network, values)

    for spec, view in Seq.zip network.Parameters parameters.Views do
        if spec.Name.EndsWith "running_var" then
            view.abs_().add_(0.5f.ToScalar()) |> ignore

    parameters

/// A batch of random inputs for a network.
let randomInput (network: Network) (count: int) (seed: int64) =
    use generator = Seeds.Generator(seed, "test input")

    let shape =
        [|
            yield int64 count
            for size in network.Architecture.Input do
                yield int64 size
        |]

    torch.randn (shape, generator = generator)

/// A learnable toy task: labels are a random linear function of random images.
let toyTask (network: Network) (count: int) (seed: int64) =
    use _ = torch.NewDisposeScope()
    let images = randomInput network count seed
    use generator = Seeds.Generator(seed, "test labels")
    let direction = torch.randn (images.flatten(1L).shape[1], int64 network.Classes, generator = generator)
    new DataSplit(images, images.flatten(1L).mm(direction).argmax(1L))

/// A model and its permuted copy with a decoy that misleads whoever looks at weights alone: one input is 0 in all images, so that its
/// weights do nothing, and these say of every unit that it is still in its place. Mixed as the decoy says the two are bad, mixed by the
/// permutation's inverse they are the model itself.
let decoy (network: Network) (train: DataSplit -> int64 -> ParameterSet) (seed: int64) =
    let images = randomInput network 200 1L
    let flat = images.flatten 1L
    let last = flat.shape[1] - 1L
    flat.select(1L, last).zero_() |> ignore
    use generator = Seeds.Generator(1L, "test labels")
    let direction = torch.randn (last + 1L, int64 network.Classes, generator = generator)
    let task = new DataSplit(flat.view images.shape, flat.mm(direction).argmax 1L)
    let a = train task seed
    let b = LmcDsl.Core.Permutations.PermutationSet.Random(network, seed).Apply a

    for model in [ a; b ] do
        let unseen = model["fc1.weight"].select(1L, last)
        unseen.copy_ (torch.linspace (-6.0, 6.0, unseen.shape[0])) |> ignore

    task, a, b

/// Every order of some items.
let rec permutations (items: 'a list) : 'a list list =
    match items with
    | [] -> [ [] ]
    | _ ->
        [
            for item in items do
                for rest in permutations (List.except [ item ] items) do
                    item :: rest
        ]

/// The largest absolute difference of two tensors.
let difference (a: torch.Tensor) (b: torch.Tensor) =
    use _ = torch.NewDisposeScope()
    (a - b).abs().max().ToDouble()

/// All numbers of a set of parameters, as bytes.
let bytes (parameters: ParameterSet) = parameters.Flat.bytes.ToArray()

/// Does something in a folder of its own, which is removed afterwards.
let inFolder (work: string -> 'a) =
    let folder = Directory.CreateTempSubdirectory "lmcdsl-test-"

    try
        work folder.FullName
    finally
        folder.Delete(recursive = true)

/// Every file under a folder, by its path there, with the SHA-256 of its content.
let contentsOf (folder: string) : (string * string) list =
    [
        for file in Directory.GetFiles(folder, "*", SearchOption.AllDirectories) |> Array.sort ->
            Path.GetRelativePath(folder, file),
            Convert.ToHexString(Security.Cryptography.SHA256.HashData(File.ReadAllBytes file))
    ]

/// Runs a program in a folder to its end: exit code, output, errors. Both are read while it runs, so that a full pipe never stops it.
let runProgram (folder: string) (program: string) (words: string list) : int * string * string =
    let start =
        ProcessStartInfo(
            program,
            words,
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true
        )

    use child = Process.Start start |> Option.ofObj |> Option.get
    let errors = child.StandardError.ReadToEndAsync()
    let output = child.StandardOutput.ReadToEnd()
    child.WaitForExit()
    child.ExitCode, output, errors.Result

/// Requires a mistake to be told in one line that holds each of these parts.
let failsWith (parts: string list) (work: unit -> unit) =
    try
        work ()
        failtest $"expected a line with {parts}, found no error"
    with :? LmcException as error ->
        Expect.isFalse (error.Message.Contains '\n') "one line"

        for part in parts do
            Expect.stringContains error.Message part "the line says what was expected and found"
