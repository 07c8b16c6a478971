module LmcDsl.Tests.Core.DifferentiateTests

open Expecto
open LmcDsl
open LmcDsl.Core.Architectures
open LmcDsl.Core.Differentiation
open LmcDsl.Core.Runtime
open LmcDsl.Tests.Fixtures
open TorchSharp

let private draw n (label: string) (seed: int64) =
    use generator = Seeds.Generator(seed, label)
    torch.randn (int64 n, torch.ScalarType.Float64, generator = generator)

/// f(x) = sum of sin(x) x' A x, smooth and without symmetry; its derivatives are checked by differences in double.
let private scalar n seed =
    let a = (draw (n * n) "matrix" seed).reshape(int64 n, int64 n)
    fun (x: torch.Tensor) -> (x.sin () * a.mv (x)).sum()

let private vector n seed =
    let a = (draw (2 * n) "matrix" seed).reshape(2L, int64 n)
    fun (x: torch.Tensor) -> a.mv(x).tanh() + x.square().sum()

let private near (name: string) (a: torch.Tensor) (b: torch.Tensor) =
    Expect.isLessThan (difference a b) (1e-6 * (1.0 + b.abs().max().ToDouble())) name

let private h = 1e-5

let tests =
    testList "Differentiate" [
        testPropertyWithConfig (config 20) "gradients and Jacobian products are those of finite differences"
        <| fun (seed: int64) ->
            use _ = torch.NewDisposeScope()
            let n = 5
            let x, v = draw n "point" seed, draw n "direction" seed
            let step (s: float) = x + v * s.ToScalar()
            let f, g = scalar n seed, vector n seed
            let slope = (f (step h) - f (step -h)) / (2.0 * h).ToScalar()
            near "v·grad" ((Diff.grad f x * v).sum()) slope
            let along = (g (step h) - g (step -h)) / (2.0 * h).ToScalar()
            near "jvp" (Diff.jvp g x v) along
            let u = draw 2 "weights" seed
            near "u·(Jv) = (J'u)·v" ((Diff.vjp g x u * v).sum()) ((u * Diff.jvp g x v).sum())

        testPropertyWithConfig (config 20) "Hessian products are differences of gradients, and columns of the Hessian"
        <| fun (seed: int64) ->
            use _ = torch.NewDisposeScope()
            let n = 5
            let x, v = draw n "point" seed, draw n "direction" seed
            let f = scalar n seed
            let product = Diff.hvp f x v
            let ahead, behind = Diff.grad f (x + v * h.ToScalar()), Diff.grad f (x - v * h.ToScalar())
            near "differences" product ((ahead - behind) / (2.0 * h).ToScalar())
            let hessian = Diff.hessian f x
            near "the matrix times v" product (hessian.mv v)
            near "symmetric" hessian (hessian.t ())

        test "of a linear function the Hessian is 0, of a constant all is 0" {
            use _ = torch.NewDisposeScope()
            let x, v = draw 3 "point" 1L, draw 3 "direction" 1L
            let linear (x: torch.Tensor) = x.sum ()
            Expect.equal (difference (Diff.hvp linear x v) (torch.zeros_like x)) 0.0 "linear"

            Expect.equal
                (difference (Diff.hessian linear x) (torch.zeros (3L, 3L, torch.ScalarType.Float64)))
                0.0
                "matrix"

            let constant (_: torch.Tensor) = torch.tensor 2.0
            Expect.equal (difference (Diff.grad constant x) (torch.zeros_like x)) 0.0 "constant"
        }

        test "a network's loss can be differentiated by its flat parameters" {
            use _ = torch.NewDisposeScope()
            use model = randomParameters smallMlp 1L
            use task = toyTask smallMlp 20 2L
            let loss = LossFunction.Of(model, task.Images, task.Labels)
            let gradient = Diff.grad loss.Invoke (model.Learned())
            let value (step: float) = (loss.Invoke(model.Learned() + gradient * step.ToScalar())).ToDouble()
            let slope = (value 1e-3 - value -1e-3) / 2e-3
            Expect.isLessThan (abs (slope / gradient.square().sum().ToDouble() - 1.0)) 1e-2 "downhill by its square"
        }

        test "more than one number, and a vector of another shape, are refused" {
            let x = torch.ones 3L
            failsWith [ "one number"; "[3]" ] (fun () -> Diff.grad id x |> ignore)
            failsWith [ "vector"; "[3]"; "[2]" ] (fun () -> Diff.hvp (fun x -> x.sum ()) x (torch.ones 2L) |> ignore)
        }

        test "derivatives are those they are where the caller has nothing recorded, who then still has not" {
            use _ = torch.NewDisposeScope()
            let x, v, u = draw 5 "point" 1L, draw 5 "direction" 1L, draw 2 "weights" 1L
            let f, g = scalar 5 1L, vector 5 1L

            for name, derivative in
                [
                    "grad", fun () -> Diff.grad f x
                    "jvp", fun () -> Diff.jvp g x v
                    "vjp", fun () -> Diff.vjp g x u
                    "hvp", fun () -> Diff.hvp f x v
                    "hessian", fun () -> Diff.hessian f x
                ] do
                let expected = derivative ()
                Expect.isGreaterThan (expected.abs().max().ToDouble()) 0.0 name
                use _ = torch.no_grad ()
                Expect.equal (difference (derivative ()) expected) 0.0 name
                Expect.isFalse (torch.is_grad_enabled ()) $"{name}: as it was"
        }
    ]
