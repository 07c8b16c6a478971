module LmcDsl.Tests.Core.LandscapeTests

open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Measures
open LmcDsl.Tests.Fixtures
open TorchSharp

let tests =
    testList "Landscape" [
        testPropertyWithConfig (config 10) "distances in the plane are L2 distances"
        <| fun (seed: int64) ->
            use a = randomParameters smallMlp seed
            use b = randomParameters smallMlp (seed + 1L)
            use c = randomParameters smallMlp (seed + 2L)
            use task = toyTask smallMlp 20 3L
            let found = Landscape.Over(a, b, c, task, 3)
            let models = List.ofSeq found.Models
            let apart (p: PlanePoint) (q: PlanePoint) = sqrt ((p.X - q.X) ** 2.0 + (p.Y - q.Y) ** 2.0)
            Expect.floatClose Accuracy.medium (apart models[0] models[1]) (Distance.L2(a, b)) "a, b"
            Expect.floatClose Accuracy.medium (apart models[0] models[2]) (Distance.L2(a, c)) "a, c"
            Expect.floatClose Accuracy.medium (apart models[1] models[2]) (Distance.L2(b, c)) "b, c"

        test "without a margin the corners that are models have the models' scores, and the grid holds all three" {
            use a = randomParameters smallMlp 1L
            use b = randomParameters smallMlp 2L
            use c = randomParameters smallMlp 3L
            use task = toyTask smallMlp 50 3L
            let found = Landscape.Over(a, b, c, task, 9, 0.0)
            Expect.equal found.Scores.Length 81 "points"
            let wide = Landscape.Over(a, b, c, task, 2, 0.5)

            for p in found.Models do
                Expect.isTrue (p.X > wide.X[0] && p.X < wide.X[1] && p.Y > wide.Y[0] && p.Y < wide.Y[1]) "inside"

            // Model a is where the grid begins, if c's foot is not left of it: then also b is in the lowest row.
            let at x y = found.Scores[y * 9 + x].Loss
            let foot = found.Models[2].X

            if foot >= 0.0 && foot <= found.Models[1].X then
                Expect.floatClose Accuracy.medium (at 0 0) (Evaluator.Evaluate(a, task).Loss) "a"
                Expect.floatClose Accuracy.medium (at 8 0) (Evaluator.Evaluate(b, task).Loss) "b"
            else
                failtest "expected a triangle with its foot inside, choose other seeds"
        }

        test "each point is its mixture of the three, with statistics reset on so many images where asked for" {
            let network = Network(Catalogue.ResNet20([| 3; 8; 8 |], 0.125))
            use a = randomParameters network 1L
            use b = randomParameters network 2L
            use c = randomParameters network 3L
            use test = toyTask network 20 4L
            use train = toyTask network 50 5L

            for reset in [ false; true ] do
                let found =
                    if reset then
                        Landscape.Over(a, b, c, test, 3, 0.1, resetOn = train, resetExamples = 30)
                    else
                        Landscape.Over(a, b, c, test, 3, 0.1)

                let models = found.Models

                for j, y in Seq.indexed found.Y do
                    for i, x in Seq.indexed found.X do
                        use _ = torch.NewDisposeScope()
                        // (x, y) = s b + t c in the plane with a at the origin.
                        let t = y / models[2].Y
                        let s = (x - t * models[2].X) / models[1].X
                        let times (m: ParameterSet) (w: float) = m.Flat * w.ToScalar()
                        use mixed = new ParameterSet(network, times a (1.0 - s - t) + times b s + times c t)

                        // Far outside of the triangle a variance may be mixed to below 0: none is less than the least of the three.
                        for spec, view in Seq.zip network.Parameters mixed.Views do
                            if spec.Name.EndsWith "running_var" then
                                let least = torch.minimum (torch.minimum (a[spec.Name], b[spec.Name]), c[spec.Name])
                                view.copy_ (torch.maximum (view, least)) |> ignore

                        if reset then
                            LmcDsl.Core.Merging.StatisticsReset.Apply(mixed, train, 30)

                        let wanted = Evaluator.Evaluate(mixed, test).Loss
                        let loss = found.Scores[j * 3 + i].Loss
                        Expect.isLessThan (abs (loss - wanted)) (2e-3 * (1.0 + abs wanted)) $"({x}, {y}), {reset}"
        }

        test "three models on a line, and options out of range, are refused" {
            use a = randomParameters smallMlp 1L
            use b = randomParameters smallMlp 2L
            use middle = new ParameterSet(smallMlp, (a.Flat + b.Flat) / 2f.ToScalar())
            use task = toyTask smallMlp 10 3L
            failsWith [ "landscape"; "one line" ] (fun () -> Landscape.Over(a, b, middle, task) |> ignore)
            failsWith [ "landscape"; "found 1" ] (fun () -> Landscape.Over(a, b, a, task, 1) |> ignore)
        }

        test "variances of batch norm that differ widely give finite scores, and the models their own" {
            let network =
                Network(
                    Architecture.FromJson
                        """{"name":"normed","input":[3],"nodes":[
                           {"name":"a","layer":{"kind":"dense","units":4},"inputs":["input"]},
                           {"name":"n","layer":{"kind":"batchNorm"},"inputs":["a"]},
                           {"name":"r","layer":{"kind":"activation","function":"Relu"},"inputs":["n"]},
                           {"name":"b","layer":{"kind":"dense","units":3},"inputs":["r"]}]}"""
                )

            use a = randomParameters network 1L
            use b = randomParameters network 2L
            use c = randomParameters network 3L
            // The foot of c in the middle between a and b, so that three points a side hold all three.
            let side, toC = b.Learned() - a.Learned(), c.Learned() - a.Learned()
            let off = 0.5 - toC.dot(side).ToDouble() / side.square().sum().ToDouble()
            c.Learned().add_(side * off.ToScalar()) |> ignore
            use task = toyTask network 30 4L

            for one, other in [ a, b; b, a; c, a ] do
                one["n.running_var"].mul_(100f.ToScalar()) |> ignore
                let found = Landscape.Over(a, b, c, task, 3, 0.0)
                Expect.isTrue (found.Scores |> Seq.forall (fun s -> System.Double.IsFinite s.Loss)) "finite"

                for place, model in [ 0, a; 2, b; 7, c ] do
                    let own = (Evaluator.Evaluate(model, task)).Loss
                    Expect.isLessThan (abs (found.Scores[place].Loss - own)) (1e-4 * (1.0 + own)) $"model at {place}"

                one["n.running_var"].copy_(other["n.running_var"]) |> ignore
        }
    ]
