/// What somebody would write who follows the papers' pseudo-code on bare Torch: the references that ours are timed beside.
module LmcDsl.Bench.Straightforward

open LmcDsl.Core.Architectures
open LmcDsl.Core.Permutations
open TorchSharp

let private byUnit (tensor: torch.Tensor) (axis: PermutedAxis) =
    let units = tensor.shape[axis.Dimension] / int64 axis.Block
    tensor.transpose(0L, int64 axis.Dimension).reshape(units, -1L)

/// Weight matching by coordinate descent (Git Re-Basin, 2209.04836, algorithm 1): in each pass every group's costs are
/// computed whole and solved by SciPy from nothing. Gives the objective.
let weightMatching (scipy: Scipy) (a: ParameterSet) (b: ParameterSet) : float =
    use _ = torch.no_grad ()
    use moved = b.Clone()
    let network = a.Network
    let random = System.Random 0
    let mutable changed = true

    while changed do
        changed <- false

        for g in Permutation.Random(network.Groups.Length, random).Sources do
            use _ = torch.NewDisposeScope()
            let group = network.Groups[g]
            let cost = torch.zeros (int64 group.Units, int64 group.Units)

            for axis in group.Axes do
                if network.Parameters[axis.Parameter].Learned then
                    cost.sub_ ((byUnit a.Views[axis.Parameter] axis).mm((byUnit moved.Views[axis.Parameter] axis).t()))
                    |> ignore

            let values = cost.data<float32>().ToArray()
            let struct (least, _, columns) = scipy.Solve(System.ReadOnlySpan values, group.Units)
            let stay = cost.diagonal().sum(torch.ScalarType.Float64).ToDouble()

            if least < stay - 1e-6 * abs stay then
                changed <- true
                let step = Permutation columns

                for axis in group.Axes do
                    let view = moved.Views[axis.Parameter]
                    view.copy_ (step.Apply(view, axis.Dimension, axis.Block)) |> ignore

    (a.Learned() * moved.Learned()).sum(torch.ScalarType.Float64).ToDouble()

/// One step of Sinkhorn re-basin (2212.12042) on the MLP: 20 iterations in logarithms, unrolled, and Torch's own gradient.
let sinkhornStep (a: ParameterSet) (b: ParameterSet) (logits: torch.Tensor[]) : torch.Tensor[] =
    let scaled =
        logits
        |> Array.map (fun x ->
            let mutable x = x

            for _ in 1..20 do
                x <- x - x.logsumexp (1L, true)
                x <- x - x.logsumexp (0L, true)

            x.exp ())

    let rowsOf k (w: torch.Tensor) = if k = 4 then w else scaled[k - 1].mm w
    let columnsOf k (w: torch.Tensor) = if k = 1 then w else w.mm (scaled[k - 2].t())

    let distance =
        [|
            for k in 1..4 do
                let weight, bias = $"fc{k}.weight", $"fc{k}.bias"
                (a[weight] - columnsOf k (rowsOf k b[weight])).square().sum()
                (a[bias] - (rowsOf k (b[bias].unsqueeze 1L)).squeeze 1L).square().sum()
        |]
        |> Array.reduce (fun x y -> x + y)

    torch.autograd.grad ([| distance |], logits) |> Seq.toArray
