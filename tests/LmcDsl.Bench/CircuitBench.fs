/// The published weight matching of transformers (2506.22712, section 4.1, as its code does it) written anew, beside ours on the same
/// models. It brings attention heads into circuits, query with key and value with output multiplied out, and mixes models in that form,
/// whose heads are as wide as the stream: no model of the same network. Barriers are shown in both forms.
module LmcDsl.Bench.CircuitBench

open System
open LmcDsl
open LmcDsl.Core.Architectures
open LmcDsl.Core.Data
open LmcDsl.Core.Matching
open LmcDsl.Core.Measures
open LmcDsl.Core.Permutations
open LmcDsl.Core.Runtime
open LmcDsl.Core.Symmetries
open TorchSharp

/// A model's tensors in double, by name.
type private Tensors = Map<string, torch.Tensor>

let private named (network: Network) (tensors: torch.Tensor seq) : Tensors =
    Seq.zip network.Parameters tensors |> Seq.map (fun (p, tensor) -> p.Name, tensor) |> Map

let private blocks (model: Tensors) =
    [
        for k in 1 .. model.Count do
            if model.ContainsKey $"block{k}.query.weight" then
                $"block{k}"
    ]

let private replace changes (model: Tensors) : Tensors =
    changes |> List.fold (fun model (name, tensor) -> Map.add name tensor model) model

let private turned (o: torch.Tensor) (model: Tensors) : Tensors =
    replace
        [
            for KeyValue(name, tensor) in model do
                match name.Split '.' with
                | [| "tokens" | "positions" | "head"; "weight" |] -> name, tensor.matmul o
                | [| _; "query" | "key" | "value" | "up"; "weight" |] -> name, tensor.matmul o
                | [| _; "output" | "down"; "weight" |] -> name, o.t().matmul tensor
                | [| _; "output" | "down"; "bias" |] -> name, tensor.matmul o
                | _ -> ()
        ]
        model

/// A model of layer norms as one of root-mean-square norms without gains: norms folded into readers, what is written to the stream centred,
/// the last norm's shift in the head's bias.
let private bare (folding: Folding) (model: ParameterSet) : Tensors =
    let folded = folding.Fold [| for view in model.Views -> view.``to`` torch.float64 |] |> named folding.Folded
    let width = folded["tokens.weight"].shape[1]
    let centring = torch.eye (width, dtype = torch.float64) - (1.0 / float width).ToScalar()

    let centred =
        replace
            [
                for KeyValue(name, tensor) in folded do
                    match name.Split '.' with
                    | [| "tokens" | "positions"; "weight" |]
                    | [| _; "output" | "down"; "bias" |] -> name, tensor.matmul centring
                    | [| _; "output" | "down"; "weight" |] -> name, centring.matmul tensor
                    | _ -> ()
            ]
            folded

    let shift = folded["norm.bias"]

    centred
    |> Map.add "head.bias" (folded["head.weight"].mv shift)
    |> Map.filter (fun name _ -> not (name.Contains "norm"))

// Rows of a head.
let private head (heads: int) (h: int) (tensor: torch.Tensor) =
    let size = tensor.shape[0] / int64 heads
    tensor.narrow (0L, int64 h * size, size)

/// Query and key of a head multiplied out, [d+1 of keys, d+1 of queries], and output and value, [d, d+1]; the last entries are biases.
let private circuit heads (model: Tensors) block h =
    let whole part =
        torch.cat ([| model[$"{block}.{part}.weight"]; model[$"{block}.{part}.bias"].unsqueeze 1L |], 1L)
        |> head heads h

    let output = model[$"{block}.output.weight"].t() |> head heads h
    (whole "key").t().matmul(whole "query"), output.t().matmul(whole "value")

/// The model with its heads multiplied out, and a network that computes it.
let private multiplied heads (model: Tensors) : Tensors =
    let width = model["tokens.weight"].shape[1]
    let size = model["block1.query.weight"].shape[0] / int64 heads
    let scale = sqrt (float (width + 1L) / float size)
    let one = torch.eye (width + 1L, dtype = torch.float64)
    let all part = torch.cat (List.toArray (List.replicate heads part), 0L)

    replace
        [
            for block in blocks model do
                let circuits = [ for h in 0 .. heads - 1 -> circuit heads model block h ]
                let queries = torch.cat [| for qk, _ in circuits -> qk.mul (scale.ToScalar()) |]
                $"{block}.query.weight", queries.narrow (1L, 0L, width)
                $"{block}.query.bias", queries.select (1L, width)

                for part in [ "key"; "value" ] do
                    $"{block}.{part}.weight", all (one.narrow (1L, 0L, width))
                    $"{block}.{part}.bias", all (one.select (1L, width))

                $"{block}.output.weight", torch.cat ([| for _, ov in circuits -> ov |], 1L)
        ]
        model

// The network of what `bare` gives, or of that with heads multiplied out.
let private networkOf (network: Network) heads wide =
    let architecture = network.Architecture
    let width = int (network.Parameters |> Seq.find (fun p -> p.Name = "tokens.weight")).Shape[1]

    let layer (node: LayerNode) : Layer =
        match Array.last (node.Name.Split '.'), node.Layer with
        | ("query" | "key" | "value"), (:? Dense as dense) when wide -> Dense(heads * (width + 1), dense.Bias)
        | "head", (:? Dense as dense) -> Dense dense.Units
        | _, (:? LayerNorm as norm) -> RmsNorm(norm.Epsilon, affine = false)
        | _, layer -> layer

    let nodes = [ for node in architecture.Nodes -> LayerNode(node.Name, layer node, node.Inputs) ]
    let nodes = Collections.Immutable.ImmutableArray.CreateRange nodes
    Network(Architecture($"{architecture.Name}, bare", architecture.Input, nodes))

let private asModel (network: Network) (tensors: Tensors) : ParameterSet =
    let model = ParameterSet.Initialize(network, 0L)

    for parameter, view in Seq.zip network.Parameters model.Views do
        view.copy_ (tensors[parameter.Name].reshape view.shape) |> ignore

    model

// The permutation that costs least.
let private cheapest (cost: torch.Tensor) = RotatedDescent.Best(cost.neg ())
let private at (order: Permutation) = torch.tensor [| for source in order.Sources -> int64 source |]

let private matchHeads heads (a: Tensors) (b: Tensors) : Tensors =
    replace
        [
            for block in blocks a do
                let circuits model = [| for h in 0 .. heads - 1 -> circuit heads model block h |]
                let own, other = circuits a, circuits b

                let cost =
                    torch.tensor (
                        Array2D.init heads heads (fun i j ->
                            (fst own[i] - fst other[j]).norm().ToDouble()
                            + (snd own[i] - snd other[j]).norm().ToDouble())
                    )

                let size = a[$"{block}.query.weight"].shape[0] / int64 heads
                let order = at (cheapest cost)
                let rows = (order.unsqueeze (1L) * size.ToScalar() + torch.arange (size, dtype = torch.int64)).flatten()

                for part in [ "query"; "key"; "value" ] do
                    for kind in [ "weight"; "bias" ] do
                        let name = $"{block}.{part}.{kind}"
                        name, b[name].index_select(0L, rows)

                $"{block}.output.weight", b[$"{block}.output.weight"].index_select(1L, rows)
        ]
        b

// By the L1 distance of units' rows of length 1: what a unit reads, its bias, what it writes.
let private matchUnits (a: Tensors) (b: Tensors) : Tensors =
    replace
        [
            for block in blocks a do
                let rows (model: Tensors) =
                    let whole =
                        torch.cat (
                            [|
                                model[$"{block}.up.weight"]
                                model[$"{block}.up.bias"].unsqueeze 1L
                                model[$"{block}.down.weight"].t()
                            |],
                            1L
                        )

                    whole / whole.square().sum(1L, keepdim = true).sqrt()

                let order = at (cheapest (torch.cdist (rows a, rows b, p = 1.0)))
                $"{block}.up.weight", b[$"{block}.up.weight"].index_select(0L, order)
                $"{block}.up.bias", b[$"{block}.up.bias"].index_select(0L, order)
                $"{block}.down.weight", b[$"{block}.down.weight"].index_select(1L, order)
        ]
        b

// What the stream's rotation is found by, rows [vectors, d], each parameter over the root of how many it has.
let private streams heads first (model: Tensors) =
    [
        model["tokens.weight"]
        model["positions.weight"]
        model["head.weight"]
        if not first then
            let wide = multiplied heads model

            for block in blocks model do
                torch.cat [| for part in [ "query"; "key"; "value" ] -> wide[$"{block}.{part}.weight"] |]
                wide[$"{block}.output.weight"].t()
                model[$"{block}.up.weight"]
                model[$"{block}.down.weight"].t()
    ]
    |> List.map (fun rows -> rows / (sqrt (float rows.shape[0])).ToScalar())

let private matchStream heads first (a: Tensors) (b: Tensors) : Tensors =
    let gain =
        List.zip (streams heads first b) (streams heads first a)
        |> List.map (fun (other, own) -> other.t().matmul own)
        |> List.reduce (+)

    let struct (u, _, v) = torch.linalg.svd gain
    turned (u.matmul v) b

let private rounds = 15

/// Brings b to a as published: the stream's rotation, heads, units, fifteen times.
let private published heads (a: Tensors) (b: Tensors) : Tensors =
    let round b k =
        use _ = torch.NewDisposeScope()
        let next = b |> matchStream heads (k = 0) a |> matchHeads heads a |> matchUnits a
        next |> Map.map (fun _ tensor -> tensor.clone().MoveToOuterDisposeScope())

    List.fold round b [ 0 .. rounds - 1 ]

let private barrier points test a b = (Barrier.Along(a, b, test, points)).Loss

let private ours: (string * (ParameterSet -> ParameterSet -> SearchResult)) list =
    [
        "permutations", (fun a b -> WeightMatching.Match(a, b))
        "rotations", (fun a b -> RotatedMatching.Match(a, b))
        "rotations, each weight alike",
        (fun a b -> RotatedMatching.Match(a, b, RotatedMatchingOptions(Normalised = true)))
    ]

let private rowsOf points (test: DataSplit) heads pair (a: ParameterSet) (b: ParameterSet) =
    use _ = torch.NewDisposeScope()
    use _ = torch.no_grad ()
    let folding = Folding.Of(a.Network, [| for v in a.Views -> v |], [| for v in b.Views -> v |])
    let plain, wide = networkOf a.Network heads false, networkOf a.Network heads true

    let inCircuits (a: Tensors) (b: Tensors) =
        barrier points test (asModel wide (multiplied heads a)) (asModel wide (multiplied heads b))

    let row (search: string) (own: float) (circuits: float) =
        let row = [ pair; search; $"{own:F3}"; $"{circuits:F3}" ]
        Console.Error.WriteLine(String.concat "  " row)
        row

    let reference, other = bare folding a, bare folding b
    let score (model: ParameterSet) = (Evaluator.Evaluate(model, test)).Loss
    let error = abs (score (asModel wide (multiplied heads other)) - score b)

    if error > 1e-3 then
        failwith $"the circuits of {pair} compute something else: their loss differs by {error}"

    [
        row "none" (barrier points test a b) (inCircuits reference other)
        let found = published heads reference other

        row
            "published weight matching"
            (barrier points test (asModel plain reference) (asModel plain found))
            (inCircuits reference found)

        for name, search in ours do
            let found = search a b

            let moved =
                match found.Transformation with
                | null -> found.Permutations.Apply b
                | whole -> RotatedMatching.Apply(a, b, whole)

            row name (barrier points test a moved) (inCircuits reference (bare folding moved))
    ]

// With how many lambdas: large models take minutes for each.
let private sets = [ "characters", (11, Weights.languageModels); "published", (5, Weights.publishedModels) ]

/// Barriers of three pairs of language models, in the form of their network and with heads multiplied out: models by characters, or those of
/// the published row.
let table (which: string) : Table =
    let points, (test, heads, models) =
        match List.tryFind (fst >> (=) which) sets with
        | Some(_, (points, make)) -> points, make ()
        | None ->
            let known = sets |> List.map fst |> String.concat " or "
            raise (LmcException $"--circuits: expected {known}, found '{which}'")

    {
        Title = $"Loss barriers on {points} lambdas of the test split, in nats"
        Columns = [ "pair"; "search"; "of the network"; "heads multiplied out" ]
        Rows =
            [
                for i, j in [ 0, 1; 0, 2; 1, 2 ] do
                    yield! rowsOf points test heads $"{i}, {j}" (models |> List.item i) (models |> List.item j)
            ]
    }
