namespace LmcDsl

open System
open LmcDsl.Core.Differentiation
open TorchSharp

/// Derivatives of functions on tensors: a function and a point in, numbers out. The names are DiffSharp's where it has one,
/// beside the field's short ones.
[<RequireQualifiedAccess>]
module Diff =

    let private func (f: torch.Tensor -> torch.Tensor) = Func<_, _> f

    /// Value and gradient of a function that gives one number.
    let fgrad f (x: torch.Tensor) : float * torch.Tensor =
        let struct (value, gradient) = Differentiate.Gradient(func f, x)
        value, gradient

    /// Gradient of a function that gives one number, of the point's shape.
    let grad f (x: torch.Tensor) : torch.Tensor = fgrad f x |> snd

    /// The Jacobian times a vector: the derivative of `f` at `x` along `v`, of the value's shape.
    let jvp f (x: torch.Tensor) (v: torch.Tensor) : torch.Tensor =
        let struct (value, product) = Differentiate.JacobianVector(func f, x, v)
        value.Dispose()
        product

    /// DiffSharp's name of `jvp`.
    let jacobianv f x v = jvp f x v

    /// The transposed Jacobian times a vector `u` of the value's shape; of the point's shape.
    let vjp f (x: torch.Tensor) (u: torch.Tensor) : torch.Tensor =
        let struct (value, product) = Differentiate.VectorJacobian(func f, x, u)
        value.Dispose()
        product

    /// DiffSharp's name of `vjp`.
    let jacobianTv f x u = vjp f x u

    /// The Hessian of a function that gives one number, times a vector of the point's shape.
    let hvp f (x: torch.Tensor) (v: torch.Tensor) : torch.Tensor =
        let struct (_, gradient, product) = Differentiate.HessianVector(func f, x, v)
        gradient.Dispose()
        product

    /// DiffSharp's name of `hvp`.
    let hessianv f x v = hvp f x v

    /// The Hessian of a function that gives one number, `[n, n]` for a point of n elements; for few elements.
    let hessian f (x: torch.Tensor) : torch.Tensor = Differentiate.Hessian(func f, x)
