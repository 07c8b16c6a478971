/// Networks, data and folders that several tests use.
module LmcDsl.Tests.Fixtures

open System
open System.Collections.Immutable
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

let config few = { FsCheckConfig.defaultConfig with maxTest = cases few }

/// A small multilayer perceptron on images of 1 x 2 x 3.
let smallMlp = Network(Catalogue.Mlp([| 1; 2; 3 |], [| 5; 4 |], 3))

/// Draws an architecture of dense layers, norms, activations and residual sums (nested, and sharing stages).
let randomArchitecture (random: Random) =
    let nodes = ResizeArray<LayerNode>()

    let add (layer: Layer) (inputs: string list) =
        let name = $"n{nodes.Count}"
        nodes.Add(LayerNode(name, layer, [ for input in inputs -> input ] |> ImmutableArray.CreateRange))
        name

    let functions = Enum.GetValues<ActivationFunction>()

    let rec block depth width at =
        match random.Next(if depth = 0 then 4 else 5) with
        | 0 -> add (Activation functions[random.Next functions.Length]) [ at ], width
        | 1 -> add (BatchNorm()) [ at ], width
        | 2 -> add (LayerNorm()) [ at ], width
        | 3 ->
            let units = random.Next(1, 7)
            add (Dense(units, random.Next 2 = 0)) [ at ], units
        | _ ->
            // A residual: the branch ends at the stage's width again; the shortcut is the identity or a dense layer.
            let branch, inner = block (depth - 1) width at

            let branch, _ =
                if inner = width then
                    branch, width
                else
                    add (Dense(width, true)) [ branch ], width

            let branch = add (Dense(width, true)) [ branch ]
            let shortcut = if random.Next 2 = 0 then at else add (Dense(width, false)) [ at ]
            add (Sum()) [ branch; shortcut ], width

    let input = [| random.Next(1, 3); random.Next(1, 3); random.Next(1, 3) |]
    let flat = add (Flatten()) [ Architecture.InputName ]
    let first = random.Next(1, 7)
    let start = add (Dense(first, true)) [ flat ]

    let last, _ = ((start, first), [ 1 .. random.Next(0, 6) ]) ||> List.fold (fun (at, width) _ -> block 2 width at)

    add (Dense(random.Next(1, 5), true)) [ last ] |> ignore
    Architecture("random", ImmutableArray.CreateRange input, ImmutableArray.CreateRange nodes)

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

/// Requires a mistake to be told in one line that holds each of these parts.
let failsWith (parts: string list) (work: unit -> unit) =
    try
        work ()
        failtest $"expected a line with {parts}, found no error"
    with :? LmcException as error ->
        Expect.isFalse (error.Message.Contains '\n') "one line"

        for part in parts do
            Expect.stringContains error.Message part "the line says what was expected and found"
