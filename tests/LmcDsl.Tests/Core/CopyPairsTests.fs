module LmcDsl.Tests.Core.CopyPairsTests

open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Matching
open LmcDsl.Core.Permutations
open LmcDsl.Core.Symmetries
open LmcDsl.Tests.Fixtures
open TorchSharp

// One block with three queries for each of two keys, without norms' gains: keys are copies, with orders and matrices within.
let private folded =
    lazy
        (let network =
            Network(
                Catalogue.Gpt(
                    7,
                    TransformerOptions(Layers = 1, Width = 24, Heads = 6, KeyHeads = 2, Hidden = 8, Context = 4)
                )
            )

         let own = doubles (randomParameters network 1L)
         (Folding.Of(network, own)).Folded)

let private draw (network: Network) seed =
    use p = randomParameters network seed
    doubles p

let tests =
    testList "CopyPairs" [
        test "in which order the queries of a key stand makes no difference to how near copies come" {
            use _ = torch.NewDisposeScope()
            let network = folded.Value
            let groups = List.ofSeq network.Groups
            let inner = groups |> List.findIndex (fun group -> group.Parent >= 0)
            let keys = groups[inner].Parent

            let within g =
                [|
                    for k, group in List.indexed groups do
                        if group.Parent = g then
                            k
                |]

            let turns =
                [|
                    for k, turn in Seq.indexed network.Turns do
                        if turn.Parent = keys then
                            k
                |]

            let touched = [ for axis in groups[keys].Axes -> axis.Parameter ] |> List.distinct
            let counts = [| for p in network.Parameters -> p.Role <> ParameterRole.Statistic |]

            // The inner product of the reference and the other model once copies are matched.
            let nearest (a: torch.Tensor[]) (b: torch.Tensor[]) =
                let moved = b |> Array.map _.clone()

                match CopyPairs(network, keys, within keys, turns, a, b, counts).Better() with
                | null -> ()
                | answer ->
                    for axis in groups[keys].Axes do
                        UnitView.Permute(moved[axis.Parameter], axis, answer.Copies)

                    for KeyValue(g, orders) in answer.Orders do
                        let all = PermutationSet.Inside(Permutation.Identity 2, orders)

                        for axis in groups[g].Axes do
                            UnitView.Permute(moved[axis.Parameter], axis, all)

                    for KeyValue(t, matrix) in answer.Matrices do
                        for axis in network.Turns[t].Axes do
                            Transformation.Turn(moved[axis.Parameter], axis, matrix)

                touched |> List.sumBy (fun p -> (a[p] * moved[p]).sum().ToDouble())

            for seed in 1L .. 5L do
                let a, b = draw network seed, draw network (seed + 50L)
                let found = nearest a b

                for drawn in 1L .. 3L do
                    let order = (PermutationSet.Random(network, drawn)).Permutations[inner]
                    // What it does within each copy; the copies stay.
                    let apart = order.Within 2
                    let other = b |> Array.map _.clone()

                    for axis in groups[inner].Axes do
                        UnitView.Permute(other[axis.Parameter], axis, apart)

                    Expect.floatClose Accuracy.medium (nearest a other) found $"models {seed}, order {drawn}"
        }
    ]
