module LmcDsl.Tests.Core.ActivationAgreementTests

open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Measures
open LmcDsl.Core.Permutations
open LmcDsl.Tests.Fixtures
open TorchSharp

let private network = Network(Catalogue.Mlp([| 1; 2; 3 |], [| 6; 5 |], 3))

/// Hidden activations of a layer, [examples, units], in double.
let private hidden (model: ParameterSet) (images: torch.Tensor) node =
    let mutable seen = null

    model.Network.Forward(
        model.Views,
        images,
        tap =
            fun name y ->
                if name = node then
                    seen <- y.clone ()
    )
    |> ignore

    seen.``to`` torch.float64

let private centred (x: torch.Tensor) = x - x.mean ([| 0L |], true)

let tests =
    testList "ActivationAgreement" [
        test "correlations of units and linear CKA are those of their definitions, over several batches" {
            use _ = torch.NewDisposeScope()
            use a = randomParameters network 1L
            use b = randomParameters network 2L
            use data = toyTask network 1200 3L
            let found = ActivationAgreement.Between(a, b, data, 1100)
            let images = data.Images.narrow (0L, 0L, 1100L)
            let taps = [ for tap in network.Taps -> tap.Group, tap.Node ]

            for k, g in Seq.indexed found do
                let node = taps |> List.find (fst >> (=) k) |> snd
                let x, y = centred (hidden a images node), centred (hidden b images node)

                let correlations =
                    [
                        for u in 0L .. x.shape[1] - 1L do
                            let left, right = x.select (1L, u), y.select (1L, u)
                            let scale = left.norm().ToDouble() * right.norm().ToDouble()

                            if scale > 0.0 then
                                left.dot(right).ToDouble() / scale
                    ]

                Expect.floatClose Accuracy.medium g.Correlation (List.average correlations) "correlation"
                let weighted = (x * y).sum().ToDouble() / (x.norm().ToDouble() * y.norm().ToDouble())
                Expect.floatClose Accuracy.medium g.Weighted weighted "weighted"
                let norm (m: torch.Tensor) = m.norm().ToDouble()
                let cka = norm (y.t().mm x) ** 2.0 / (norm (x.t().mm x) * norm (y.t().mm y))
                Expect.floatClose Accuracy.medium g.Kernel cka "CKA"
        }

        test "a model agrees with itself; with its permuted copy in CKA only" {
            use a = randomParameters network 1L
            use moved = PermutationSet.Random(network, 4L).Apply a
            use data = toyTask network 300 3L

            for g in ActivationAgreement.Between(a, a, data, 300) do
                Expect.floatClose Accuracy.medium g.Correlation 1.0 "itself"
                Expect.floatClose Accuracy.medium g.Weighted 1.0 "itself"
                Expect.floatClose Accuracy.medium g.Kernel 1.0 "itself"

            for g in ActivationAgreement.Between(a, moved, data, 300) do
                Expect.isLessThan g.Correlation 0.9 "its units stand elsewhere"
                Expect.floatClose Accuracy.medium g.Kernel 1.0 "which CKA does not see"
        }

        test "examples that do not fit, and none, are refused" {
            use a = randomParameters network 1L
            use data = toyTask network 10 3L

            failsWith [ "activations"; "1 or more"; "0" ] (fun () ->
                ActivationAgreement.Between(a, a, data, 0) |> ignore)
        }

        test "units that nothing reads are left out" {
            use a = randomParameters unreadGroup 1L
            use task = toyTask unreadGroup 100 3L
            let found = ActivationAgreement.Between(a, a, task, 100)
            Expect.equal [ for g in found -> g.Name ] [ "fc1" ] "those that are read"
            Expect.floatClose Accuracy.medium found[0].Correlation 1.0 "itself"
        }
    ]
