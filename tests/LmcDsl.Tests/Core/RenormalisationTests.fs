module LmcDsl.Tests.Core.RenormalisationTests

open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Data
open LmcDsl.Core.Merging
open LmcDsl.Tests.Fixtures
open TorchSharp

let private network = Network(Catalogue.Vgg11([| 3; 32; 32 |], 0.05, 10, Norm.None))

/// Mean and deviation of each unit that a layer gives, over examples and positions.
let private moments (model: ParameterSet) (data: DataSplit) layer =
    let mutable found = None

    model.Network.Forward(
        model.Views,
        data.Images,
        Mode.Evaluation,
        fun name output ->
            if name = layer then
                let units = output.transpose(0L, 1L).flatten(1L)
                found <- Some(units.mean ([| 1L |]), units.std (1L, false))
    )
    |> ignore

    found.Value

let tests =
    testList "Renormalisation" [
        for name, network, layers in
            [
                "MLP", Network(Catalogue.Mlp([| 1; 2; 3 |], [| 9; 8 |], 3)), [ "fc1"; "fc2" ]
                "VGG without norms", network, [ "conv1"; "conv8"; "fc1" ]
            ] do
            test $"{name}: hidden units then have the mean of their parents' means and deviations" {
                use _ = torch.NewDisposeScope()
                use _ = torch.no_grad ()
                let parents = [| for seed in 1L .. 3L -> ParameterSet.Initialize(network, seed) |]
                use data = toyTask network 60 4L
                use merged = Average.Of(parents, null)
                Renormalisation.Apply(merged, parents, data, 60, 25)

                let present =
                    layers
                    |> List.filter (fun layer -> network.Architecture.Nodes |> Seq.exists (fun n -> n.Name = layer))

                Expect.isGreaterThan present.Length 1 "layers"

                for layer in present do
                    if layer <> (Seq.last network.Architecture.Nodes).Name then
                        let mean, deviation = moments merged data layer
                        let wanted = parents |> Array.map (fun p -> moments p data layer)
                        let wantedMean = torch.stack(Array.map fst wanted).mean([| 0L |])
                        let wantedDeviation = torch.stack(Array.map snd wanted).mean([| 0L |])
                        let scale = wantedDeviation.max().ToDouble() + wantedMean.abs().max().ToDouble()
                        Expect.isLessThan (difference mean wantedMean) (1e-3 * scale) $"mean of {layer}"
                        Expect.isLessThan (difference deviation wantedDeviation) (1e-3 * scale) $"deviation of {layer}"
            }

        test "a model that is its own only parent stays as it is" {
            let network = Network(Catalogue.Mlp([| 1; 2; 3 |], [| 9; 8 |], 3))
            use model = ParameterSet.Initialize(network, 1L)
            use data = toyTask network 50 2L
            use merged = model.Clone()
            Renormalisation.Apply(merged, [| model |], data)
            Expect.isLessThan (difference merged.Flat model.Flat) 1e-5 "the same"
        }

        test "so many examples are read as are asked for" {
            let network = Network(Catalogue.Mlp([| 1; 2; 3 |], [| 9; 8 |], 3))
            let parents = [| for seed in 1L .. 2L -> ParameterSet.Initialize(network, seed) |]
            use data = toyTask network 90 2L
            use first = data.First 30L

            let renormalised (data: DataSplit) examples =
                use merged = Average.Of(parents, null)
                Renormalisation.Apply(merged, parents, data, examples, 25)
                bytes merged

            Expect.equal (renormalised data 30) (renormalised first 1000) "the first thirty"
            Expect.notEqual (renormalised data 90) (renormalised data 30) "not all"
        }

        test "no parents, and too few examples, are refused" {
            use model = randomParameters smallMlp 1L
            use data = toyTask smallMlp 10 1L
            failsWith [ "renormalisation"; "parents" ] (fun () -> Renormalisation.Apply(model, [||], data))
            failsWith [ "renormalisation"; "found 1" ] (fun () -> Renormalisation.Apply(model, [| model |], data, 1))
        }
    ]
