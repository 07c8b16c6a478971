/// Networks, data and folders that several tests use.
module LmcDsl.Tests.Fixtures

open System
open System.Collections.Immutable
open System.Diagnostics
open System.IO
open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Matching
open LmcDsl.Core.Permutations
open LmcDsl.Core.Data
open LmcDsl.Core.Runtime
open TorchSharp

/// Before any test file makes a tensor.
let prepare () =
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

    /// The layer of a name.
    member _.Layer(name: string) : Layer = (nodes.Find(fun node -> node.Name = name)).Layer

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

/// Draws an architecture of convolutions (grouped, depthwise, dilated, transposed), pooling, norms with any number of groups,
/// concatenations, splits and residual blocks with every kind of shortcut, ended by a flatten over positions or a global pool.
let private randomConvolutional (random: Random) =
    let chain = RandomChain()
    let pick (items: 'a list) = items[random.Next items.Length]

    let divisors n =
        [
            for d in 1..n do
                if n % d = 0 then
                    d
        ]

    let normed channels at =
        match random.Next 5 with
        | 0 -> chain.Add(BatchNorm(affine = (random.Next 3 > 0), trackStatistics = (random.Next 3 > 0)), [ at ])
        | 1 -> chain.Add(BatchNorm(Nullable()), [ at ])
        | 2 -> chain.Add(GroupNorm(pick (divisors channels), affine = (random.Next 3 > 0)), [ at ])
        | _ -> at

    let active at =
        let functions = Enum.GetValues<ActivationFunction>()

        chain.Add(
            Activation(
                if random.Next 2 = 0 then
                    ActivationFunction.Relu
                else
                    functions[random.Next functions.Length]
            ),
            [ at ]
        )

    // From `inputs` channels to `channels`, in as many groups as fit both, often one.
    let convolve inputs channels kernel stride at =
        let groups =
            match random.Next 3 with
            | 0 -> pick (divisors inputs |> List.filter (fun d -> channels % d = 0))
            | _ -> 1

        let mode = pick [ PaddingMode.Zeros; PaddingMode.Replicate ]
        let layer = Convolution(channels, kernel, stride, kernel / 2, random.Next 2 = 0, groups, paddingMode = mode)
        normed channels (chain.Add(layer, [ at ]))

    let rec block depth channels side at =
        match random.Next(if depth = 0 then 9 else 12) with
        | 0 ->
            let wider = pick [ 1; 2; 3; 4; 4; 6; 6 ]
            active (convolve channels wider 3 1 at), wider, side
        | 1 when side >= 2 ->
            let pool = pick [ PoolingFunction.Max; PoolingFunction.Average ]
            let padding = random.Next 2
            let pooled = chain.Add(Pooling(pool, 2, 2, padding), [ at ])
            pooled, channels, (side + 2 * padding - 2) / 2 + 1
        | 2 ->
            // Depthwise, with one or two outputs for each input.
            let wider = channels * random.Next(1, 3)
            let layer = Convolution(wider, 3, 1, 1, random.Next 2 = 0, channels)
            active (normed wider (chain.Add(layer, [ at ]))), wider, side
        | 3 ->
            // Two branches side by side, or one beside what it reads.
            let left = convolve channels (random.Next(1, 4)) 3 1 at
            let width name = (chain.Layer name :?> Convolution).Channels
            let wide = chain.Add(Convolution(random.Next(1, 4), 1, 1, 0), [ left ])
            let beside = if random.Next 2 = 0 then at else active wide
            let other = if beside = at then channels else width wide
            let joined = chain.Add(Concatenation(), [ wide; beside ])
            joined, width wide + other, side
        | 4 when channels >= 2 ->
            // Split, and both parts used: one through a convolution, together again or one alone.
            let cut = random.Next(1, channels)
            let first = chain.Add(Slice(0, cut), [ at ])
            let second = chain.Add(Slice(cut, channels - cut), [ at ])

            if random.Next 2 = 0 then
                let changed = active (convolve cut cut 3 1 first)

                chain.Add(Concatenation(), (if random.Next 2 = 0 then [ second; changed ] else [ changed; second ])),
                channels,
                side
            else
                second, channels - cut, side
        | 5 when side <= 6 ->
            let wider = pick [ 1; channels; 2 * channels ]
            let groups = pick (divisors channels |> List.filter (fun d -> wider % d = 0))
            chain.Add(TransposedConvolution(wider, 2, 2, groups = groups), [ at ]) |> active, wider, 2 * side
        | 6 ->
            let pool = pick [ PoolingFunction.Max; PoolingFunction.Average ]
            chain.Add(AdaptivePooling(pool, 3, 3), [ at ]), channels, 3
        | 7 ->
            // A gate: what each channel is multiplied by, from the whole image or position by position.
            let seen =
                if random.Next 2 = 0 then
                    chain.Add(Pooling(PoolingFunction.Average, 0), [ at ])
                else
                    at

            let weights = chain.Add(Convolution(channels, 1, 1, 0, true), [ seen ])
            let gate = chain.Add(Activation ActivationFunction.Sigmoid, [ weights ])
            chain.Add(Multiplication(), (if random.Next 2 = 0 then [ at; gate ] else [ gate; at ])), channels, side
        | 8 when side >= 2 && side % 2 = 0 ->
            // Half the side: a strided branch, with strided subsampling, padded or not, or a convolution as the shortcut.
            let wider = if random.Next 2 = 0 then channels else channels + random.Next(1, 4)
            let branch = convolve wider wider 3 1 (active (convolve channels wider 3 2 at))

            let shortcut =
                match random.Next 3 with
                | 0 ->
                    let pooled = chain.Add(Pooling(PoolingFunction.First, 1, 2), [ at ])
                    let before = random.Next(0, wider - channels + 1)
                    chain.Add(ChannelPadding(before, wider - channels - before), [ pooled ])
                | 1 -> convolve channels wider 1 2 at
                | _ -> convolve channels wider 3 2 at

            active (chain.Add(Sum(), [ branch; shortcut ])), wider, side / 2
        | 9
        | 10 when depth > 0 ->
            let inner, innerChannels, innerSide = block (depth - 1) channels side at
            let inner, innerChannels = if innerSide = side then inner, innerChannels else at, channels
            let middle = pick [ 1; 2; 3; 4; 6 ]
            let branch = convolve middle channels 3 1 (active (convolve innerChannels middle 1 1 inner))
            let shortcut = if random.Next 2 = 0 then at else convolve channels channels 1 1 at
            active (chain.Add(Sum(), [ branch; shortcut ])), channels, side
        | _ -> normed channels at, channels, side

    let side = pick [ 4; 6; 8 ]
    let stem = pick [ 1; 2; 3; 4; 6; 6 ]
    let images = random.Next(1, 4)
    let start = active (convolve images stem 3 1 Architecture.InputName)

    let last, _, _ =
        ((start, stem, side), [ 1 .. random.Next(1, 5) ])
        ||> List.fold (fun (at, channels, side) _ -> block 2 channels side at)

    let pooled =
        if random.Next 2 = 0 then
            chain.Add(Pooling(PoolingFunction.Average, 0), [ last ])
        else
            last

    chain.Add(Dense(random.Next(1, 5), true), [ chain.Add(Flatten(), [ pooled ]) ]) |> ignore
    chain.Build [ images; side; side ]

/// Draws an architecture on sequences: 1-d convolutions, grouped or not, in series, side by side or as residuals.
let private randomSequence (random: Random) =
    let chain = RandomChain()
    let pick (items: 'a list) = items[random.Next items.Length]
    let channels = pick [ 2; 4; 6 ]

    let convolve inputs at =
        let groups =
            pick [
                for d in 1..inputs do
                    if inputs % d = 0 && channels % d = 0 then
                        d
            ]

        let dilation = random.Next(1, 3)
        let layer = Convolution1d(channels, 3, 1, dilation, random.Next 2 = 0, groups, dilation)
        chain.Add(Activation ActivationFunction.Silu, [ chain.Add(layer, [ at ]) ])

    let step (at, width) _ =
        match random.Next 3 with
        | 0 -> convolve width at, channels
        | 1 when width = channels -> chain.Add(Sum(), [ convolve width at; at ]), width
        | 1 -> chain.Add(BatchNorm(), [ at ]), width
        | _ -> chain.Add(Concatenation(), [ convolve width at; at ]), width + channels

    let inputs = random.Next(1, 4)
    let first = convolve inputs Architecture.InputName
    let last, _ = ((first, channels), [ 1 .. random.Next(1, 5) ]) ||> List.fold step
    chain.Add(Dense 3, [ chain.Add(Flatten(), [ last ]) ]) |> ignore
    chain.Build [ inputs; 5 ]

/// Draws an architecture: dense, convolutional or on sequences; chains, residuals, nested residuals, shared stages, concatenations,
/// units with an order of their own in each group of channels.
let randomArchitecture (random: Random) =
    match random.Next 7 with
    | 0
    | 1 -> randomDense random
    | 2 -> randomSequence random
    | _ -> randomConvolutional random

/// Draws a transformer: tokens or patches, attention of every kind, norms with and without gains before or after, gates or not, an
/// output for each position or for the whole, tied or not.
let randomTransformer (random: Random) =
    let chain = RandomChain()
    let pick (items: 'a list) = items[random.Next items.Length]
    let coin () = random.Next 2 = 0
    let isText = coin ()
    let keyHeads, each, size = random.Next(1, 4), random.Next(1, 3), pick [ 2; 4 ]
    let heads = keyHeads * each
    let width, context = heads * size, random.Next(2, 6)

    let norm =
        pick [
            fun () -> LayerNorm(affine = false) :> Layer
            fun () -> LayerNorm(scale = false)
            fun () -> LayerNorm()
            fun () -> RmsNorm(affine = false)
            fun () -> RmsNorm(affine = false)
            fun () -> RmsNorm()
        ]

    let rotary, causal, after = random.Next 3 = 0, coin (), random.Next 4 = 0
    let mutable stream = Architecture.InputName

    let input =
        if isText then
            stream <- chain.Add(Embedding(7, width), [ stream ])
            [ context ]
        else
            let patches = chain.Add(Convolution(width, 2, 2, 0), [ stream ])
            stream <- chain.Add(Sequence(), [ patches ])
            [ 2; 4; 2 * random.Next(1, 3) ]

    if not isText && coin () then
        stream <- chain.Add(ClassToken(), [ stream ])

    match random.Next 3 with
    // A table for longer texts too, of which the first rows are read.
    | 0 -> stream <- chain.Add(LearnedPositions(if isText && causal then context + 2 else 0), [ stream ])
    | 1 -> stream <- chain.Add(SinusoidalPositions(), [ stream ])
    | _ -> ()

    let part (make: string -> string) =
        let read = if after then stream else chain.Add(norm (), [ stream ])
        let sum = chain.Add(Sum(), [ stream; make read ])
        stream <- if after then chain.Add(norm (), [ sum ]) else sum

    for _ in 1 .. random.Next(1, 3) do
        let bias = coin ()

        part (fun read ->
            let dense units = chain.Add(Dense(units, bias), [ read ])
            let q, k, v = dense (heads * size), dense (keyHeads * size), dense (keyHeads * 3)
            let layer = DotProductAttention(heads, keyHeads, causal, rotary)
            chain.Add(Dense(width, bias), [ chain.Add(layer, [ q; k; v ]) ]))

        part (fun read ->
            let up = chain.Add(Dense(5, bias), [ read ])

            let inner =
                if coin () then
                    let gate = chain.Add(Activation ActivationFunction.Silu, [ chain.Add(Dense(5, bias), [ read ]) ])

                    chain.Add(Multiplication(), [ gate; up ])
                else
                    chain.Add(Activation ActivationFunction.Gelu, [ up ])

            // Written either way round.
            chain.Add((if bias && causal then TurnedDense width :> Layer else Dense(width, bias)), [ inner ]))

    if not after then
        stream <- chain.Add(norm (), [ stream ])

    match random.Next 3 with
    | 0 when isText -> chain.Add(TiedOutput("n0", 7), [ stream ])
    | 0
    | 1 -> chain.Add(Dense(3, coin ()), [ stream ])
    | _ ->
        chain.Add(
            Dense(3, true),
            [
                chain.Add(
                    SequencePooling(pick [ SequencePoolingFunction.Mean; SequencePoolingFunction.First ]),
                    [ stream ]
                )
            ]
        )
    |> ignore

    chain.Build input

/// Draws an architecture of layers that take their weights as signals: attention (fused or not, with fewer keys than queries, masked or
/// not), recurrent layers, convolutions, tables, embeddings of positions, on sequences `[steps, features]`.
let randomSignals (random: Random) =
    let chain = RandomChain()
    let pick (items: 'a list) = items[random.Next items.Length]
    let ints (items: int list) = ImmutableArray.CreateRange items
    let steps, heads, size = pick [ 2; 3; 4 ], pick [ 1; 2; 3; 4 ], pick [ 1; 2; 3 ]
    let width = heads * size
    let add (layer: Layer) inputs = chain.Add(layer, inputs)
    let parameter (shape: int list) role = add (Parameter(ints shape, role)) [ Architecture.InputName ]
    let weight shape = parameter shape ParameterRole.Weight

    let constant (values: float32 list) (shape: int list) =
        let bytes = values |> List.map BitConverter.GetBytes |> Array.concat
        add (Constant(ints shape, Convert.ToBase64String bytes)) [ Architecture.InputName ]

    let arithmetic f left right = add (Arithmetic f) [ left; right ]

    let attention at =
        let groups = pick [ 1; heads ]

        let queries, keys, values =
            if groups = heads && random.Next 2 = 0 then
                let all = add (Dense(3 * width)) [ at ]
                let part k = add (Slice(k * width, width, 1)) [ all ]
                part 0, part 1, part 2
            else
                let part units = add (Dense(units, random.Next 2 = 0)) [ at ]
                part width, part (groups * size), part (groups * size)

        let parted count name = add (Reshaping(ints [ steps; count; size ])) [ name ]
        let moved order name = add (Transposition(ints order)) [ name ]

        let shared name =
            if groups = heads then
                moved [ 1; 0; 2 ] (parted heads name)
            else
                let apart = add (Reshaping(ints [ 1; 1; steps; size ])) [ moved [ 1; 0; 2 ] (parted 1 name) ]
                let copies = add (Expansion(ints [ 1; heads; steps; size ])) [ apart ]
                add (Reshaping(ints [ heads; steps; size ])) [ copies ]

        let q = moved [ 1; 0; 2 ] (parted heads queries)
        let scores = add (MatrixProduct()) [ q; moved [ 0; 2; 1 ] (shared keys) ]

        let scores =
            match random.Next 3 with
            | 0 ->
                let mask =
                    constant [
                        for i in 1..steps do
                            for j in 1..steps -> if j <= i then 1f else 0f
                    ] [ steps; steps ]

                add (Choice()) [ mask; scores; constant [ -1e9f ] [ 1 ] ]
            | 1 -> arithmetic ArithmeticFunction.Divide scores (constant [ 2f ] [ 1 ])
            | _ -> scores

        let seen = add (MatrixProduct()) [ add (Softmax()) [ scores ]; shared values ]
        let joined = add (Reshaping(ints [ steps; width ])) [ moved [ 1; 0; 2 ] seen ]
        add (Sum()) [ at; add (Dense width) [ joined ] ]

    let step at _ =
        match random.Next 18 with
        | 0
        | 1
        | 2 -> attention at
        | 3 -> add (LayerNorm()) [ at ]
        | 4 ->
            arithmetic
                ArithmeticFunction.Add
                at
                (parameter [ 1; steps; width ] ParameterRole.Bias
                 |> fun p -> add (Reshaping(ints [ steps; width ])) [ p ])
        | 5 ->
            let functions =
                [
                    ElementaryFunction.Absolute
                    ElementaryFunction.Sine
                    ElementaryFunction.GeluTanh
                    ElementaryFunction.Mish
                    ElementaryFunction.ErrorFunction
                ]

            add (Elementary(pick functions)) [ at ]
        | 6 ->
            arithmetic ArithmeticFunction.Subtract at (add (Reduction(ReductionFunction.Mean, ints [ 1 ], true)) [ at ])
        | 7 ->
            let normal = add (Normalization(1, 1e-5, random.Next 2 = 0)) [ at ]
            arithmetic ArithmeticFunction.Multiply normal (parameter [ width ] ParameterRole.NormWeight)
        | 8 ->
            let places =
                add (Conversion NumberType.Int64) [ add (Gathering(1, ints [ 0 ], true)) [ Architecture.InputName ] ]

            add (Sum()) [ at; add (Lookup()) [ weight [ 5; width ]; places ] ]
        | 9 -> add (Gathering(0, ints [ for k in steps - 1 .. -1 .. 0 -> k ])) [ at ]
        | 10 ->
            let longer =
                add (EdgePadding(ints [ 1; 0 ], ints [ 0; 0 ], pick [ PaddingMode.Zeros; PaddingMode.Replicate ])) [
                    at
                ]

            add (Slice(0, steps)) [ longer ]
        | 11 ->
            let groups = pick [ 1; heads ]
            let images = add (Transposition(ints [ 1; 0 ])) [ at ]
            let inputs = [ images; weight [ width; width / groups; 3 ]; parameter [ width ] ParameterRole.Bias ]
            let layer = Correlation(ints [ 1 ], ints [ 1 ], ints [ 1 ], ints [ 1 ], groups)
            add (Transposition(ints [ 1; 0 ])) [ add layer inputs ]
        | 12 ->
            let pool = pick [ PoolingFunction.Max; PoolingFunction.Average ]
            let images = add (Transposition(ints [ 1; 0 ])) [ at ]

            add (Transposition(ints [ 1; 0 ])) [
                add (WindowPooling(pool, ints [ 2 ], ints [ 1 ], ints [ 1 ], ints [ 0 ], ints [ 1 ])) [ images ]
            ]
        | 13 -> add (Slice(0, steps)) [ add (Resampling(ints [ steps + 1; width ], ResamplingMode.Linear)) [ at ] ]
        | 14 -> add (if random.Next 2 = 0 then Lstm width :> Layer else Gru width) [ at ]
        | 15 ->
            let cell, gates =
                pick [
                    RecurrentCell.Lstm, 4
                    RecurrentCell.GruResetAfter, 3
                    RecurrentCell.Gru, 3
                    RecurrentCell.Tanh, 1
                ]

            let start = constant (List.replicate width 0f) [ 1; width ]

            let inputs =
                [
                    at
                    weight [ 1; gates * width; width ]
                    weight [ 1; gates * width; width ]
                    weight [ 1; 2 * gates * width ]
                    start
                ]

            let inputs = if gates = 4 then inputs @ [ start ] else inputs
            add (Reshaping(ints [ steps; width ])) [ add (Recurrence cell) inputs ]
        | 16 -> add (Einsum "ab,bc->ac") [ at; weight [ width; width ] ]
        | _ ->
            let other = add (Dense width) [ at ]
            let larger = add (Choice()) [ arithmetic ArithmeticFunction.Greater at other; at; other ]
            add (Dense width) [ add (Concatenation 1) [ larger; other ] ]

    let start = add (Dense width) [ Architecture.InputName ]
    let last = (start, [ 1 .. random.Next(1, 5) ]) ||> List.fold step

    let last =
        if random.Next 2 = 0 then
            last
        else
            add (Reduction(ReductionFunction.Mean, ints [ 0 ])) [ last ]

    let classes = add (Dense 3) [ add (Flatten()) [ last ] ]

    // Some have a second output, whose units stay.
    if steps = 4 && heads = 1 then
        add (Outputs()) [ classes; add (Dense 2) [ last ] ] |> ignore

    chain.Build [ steps; random.Next(1, 4) ]

/// Draws an architecture of any kind, a transformer in one of three.
let randomOfAnyKind (random: Random) =
    if random.Next 3 = 0 then
        randomTransformer random
    else
        randomArchitecture random

/// Draws an architecture of any kind in whose parameters one group at most has an order in each of the same copies.
let randomRelaxed (random: Random) =
    Seq.initInfinite (fun _ -> randomOfAnyKind random)
    |> Seq.find (fun architecture -> isNull (box (LmcDsl.Core.Matching.RelaxedObjective.Twice(Network architecture))))

/// Parameters drawn at random, norms and running statistics included, so that no symmetry is there by chance.
let randomParameters (network: Network) (seed: int64) =
    use _ = torch.NewDisposeScope()
    use generator = Seeds.Generator(seed, "test parameters")
    let values = torch.randn(network.TotalCount, generator = generator).mul_(0.5f.ToScalar())
    let parameters = new ParameterSet(network, values)

    for spec, view in Seq.zip network.Parameters parameters.Views do
        if spec.Name.EndsWith "running_var" then
            view.abs_().add_(0.5f.ToScalar()) |> ignore
        elif spec.Name.EndsWith "num_batches_tracked" then
            view.fill_ (3f.ToScalar()) |> ignore

    parameters

/// A batch of random inputs for a network.
let randomInput (network: Network) (count: int) (seed: int64) =
    use generator = Seeds.Generator(seed, "test input")
    network.DrawInput(count, generator)

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

/// A model's tensors in double, one for each parameter.
let doubles (parameters: ParameterSet) = [| for view in parameters.Views -> view.``to`` torch.float64 |]

/// Four drawn examples for a network in double: tokens where it reads such.
let inputInDouble (network: Network) =
    let x = randomInput network 4 1L
    if network.Vocabulary.HasValue then x else x.``to`` torch.float64

/// How far a network's outputs by two lists of parameters are apart, as a share of the greatest.
let outputsApart (network: Network) (before: torch.Tensor[]) (after: torch.Tensor[]) =
    use _ = torch.no_grad ()
    let x = inputInDouble network
    let one, other = network.Forward(before, x), network.Forward(after, x)
    difference one other / max 1.0 (one.abs().max().ToDouble())

/// Whether a file of a store is of a training's curve, which is made with its model only: nothing else gives it again.
let isCurve (file: string) =
    let record = Path.Combine(FileInfo(file).Directory.FullName, "record.json")
    File.Exists record && (File.ReadAllText record).Contains "\"op\": \"trainingCurve\""

/// The command `lmc`, as it was built.
let tool = Path.Combine(AppContext.BaseDirectory, "lmc.dll")

/// The command, run in a folder as a user runs it: exit code, output, errors.
let lmc folder words = runProgram folder "dotnet" (tool :: words)

/// The output of a program that ended well.
let done' (code, output: string, errors) =
    Expect.equal code 0 (output + errors)
    output

/// A program that ended with exit code 1 and one line that has these parts.
let refused parts (code, output: string, errors: string) =
    Expect.equal code 1 (output + errors)
    Expect.equal (errors.Trim().Split('\n').Length) 1 errors

    for part in parts do
        Expect.stringContains errors part "the line"

/// Debian's Python, which has its packages of PyTorch and ONNX.
let python = "/usr/bin/python3"

let private imports = Collections.Concurrent.ConcurrentDictionary<string, bool>()

/// Whether it is there, with some modules (`torch, onnx`).
let hasPython (modules: string) : bool =
    imports.GetOrAdd(
        modules,
        fun modules ->
            File.Exists python && (let code, _, _ = runProgram "." python [ "-c"; $"import {modules}" ] in code = 0)
    )

/// A model is found again in its own random group element, heads included.
let foundAgain (name: string) (network: Network) (model: ParameterSet) =
    use moved = PermutationSet.Random(network, 5L).Apply model
    Expect.isGreaterThan (difference moved.Flat model.Flat) 0.0 $"{name}: something moved"
    // As `lmc align` does unless told.
    use found = (WeightMatching.Match(model, moved, WeightMatchingOptions(Outward = true))).Permutations.Apply moved
    Expect.equal (difference found.Flat model.Flat) 0.0 $"{name}: found again, heads included"

/// Of its two hidden layers the second is read by a mean over all its units alone, and by no weights.
let unreadGroup =
    let chain = Chain()
    chain.Add("flatten", Flatten()) |> ignore
    chain.Add("fc1", Dense 8) |> ignore
    chain.Add("relu1", Activation ActivationFunction.Relu) |> ignore
    chain.Add("fc2", Dense 6) |> ignore
    chain.Add("relu2", Activation ActivationFunction.Relu) |> ignore

    chain.Add("mean", Reduction(ReductionFunction.Mean, System.Collections.Immutable.ImmutableArray.Create 0, true))
    |> ignore

    chain.Add("fc3", Dense 3) |> ignore
    Network(chain.Build("unread", [| 1; 2; 4 |]))

/// An MLP with a vector that is a weight by its role.
let scaledMlp =
    let chain = Chain()
    chain.Add("flatten", Flatten()) |> ignore
    chain.Add("fc1", Dense 8) |> ignore
    chain.Add("scale", Parameter(System.Collections.Immutable.ImmutableArray.Create 8), "input") |> ignore
    chain.Add("times", Multiplication(), "fc1", "scale") |> ignore
    chain.Add("fc2", Dense 3) |> ignore
    Network(chain.Build("scaled", [| 1; 2; 4 |]))
