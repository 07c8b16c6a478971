using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Differentiation;

/// <summary>
/// Derivatives of functions on tensors, by Torch's autograd: a function goes in, numbers come out, nothing is remembered.
/// Functions may be any composition of Torch operations that are differentiable as often as is asked for. What the caller does not have
/// recorded (<c>no_grad</c>) is recorded here all the same.
/// </summary>
public static class Differentiate
{
    /// <summary>A scalar function's value and gradient.</summary>
    /// <param name="function">Gives a tensor of one element.</param>
    /// <param name="point">Where; any shape.</param>
    /// <returns>The value, and the gradient of the point's shape, in the caller's dispose scope.</returns>
    /// <exception cref="LmcException">The function gives more than one element.</exception>
    public static (double Value, Tensor Gradient) Gradient(Func<Tensor, Tensor> function, Tensor point)
    {
        using var recorded = enable_grad();
        using var scope = NewDisposeScope();
        var x = Leaf(point);
        var y = Scalar(function(x));
        return (y.ToDouble(), Or0(Grad(y, x, null, again: false), x).MoveToOuterDisposeScope());
    }

    /// <summary>A function's value and its Jacobian times a vector: the derivative along the vector.</summary>
    /// <param name="function">Gives a tensor of any shape.</param>
    /// <param name="point">Where.</param>
    /// <param name="vector">The direction, of the point's shape.</param>
    /// <returns>The value and J v, both of the value's shape, in the caller's dispose scope.</returns>
    /// <remarks>
    /// By differentiating u ↦ J'u, which is linear in u, once more: its derivative along v is J v whatever u is.
    /// </remarks>
    public static (Tensor Value, Tensor Product) JacobianVector(Func<Tensor, Tensor> function, Tensor point, Tensor vector)
    {
        RequireLike(point, vector);
        using var recorded = enable_grad();
        using var scope = NewDisposeScope();
        var x = Leaf(point);
        var y = function(x);
        var u = zeros_like(y).requires_grad_();
        var back = Grad(y, x, u, again: true);
        var product = back is null ? zeros_like(y) : Or0(Grad(back, u, vector, again: false), u);
        return (y.detach().MoveToOuterDisposeScope(), product.detach().MoveToOuterDisposeScope());
    }

    /// <summary>A function's value and its Jacobian, transposed, times a vector.</summary>
    /// <param name="function">Gives a tensor of any shape.</param>
    /// <param name="point">Where.</param>
    /// <param name="vector">The weights of the outputs, of the value's shape.</param>
    /// <returns>The value, and J'u of the point's shape, in the caller's dispose scope.</returns>
    public static (Tensor Value, Tensor Product) VectorJacobian(Func<Tensor, Tensor> function, Tensor point, Tensor vector)
    {
        using var recorded = enable_grad();
        using var scope = NewDisposeScope();
        var x = Leaf(point);
        var y = function(x);
        RequireLike(y, vector);
        return (y.detach().MoveToOuterDisposeScope(), Or0(Grad(y, x, vector, again: false), x).MoveToOuterDisposeScope());
    }

    /// <summary>A scalar function's value, gradient, and Hessian times a vector.</summary>
    /// <param name="function">Gives a tensor of one element.</param>
    /// <param name="point">Where.</param>
    /// <param name="vector">The direction, of the point's shape.</param>
    /// <returns>The value; the gradient and H v, of the point's shape, in the caller's dispose scope.</returns>
    /// <exception cref="LmcException">The function gives more than one element, or the vector has another shape.</exception>
    public static (double Value, Tensor Gradient, Tensor Product) HessianVector(
        Func<Tensor, Tensor> function, Tensor point, Tensor vector)
    {
        RequireLike(point, vector);
        using var recorded = enable_grad();
        using var scope = NewDisposeScope();
        var x = Leaf(point);
        var y = Scalar(function(x));
        var gradient = Or0(Grad(y, x, null, again: true), x);
        var product = gradient.requires_grad
            ? Or0(Grad((gradient * vector).sum(), x, null, again: false), x)
            : zeros_like(x);
        return (y.ToDouble(), gradient.detach().MoveToOuterDisposeScope(), product.detach().MoveToOuterDisposeScope());
    }

    /// <summary>A scalar function's Hessian, row by row; for points of few elements.</summary>
    /// <param name="function">Gives a tensor of one element.</param>
    /// <param name="point">Where; n elements.</param>
    /// <returns>The matrix, <c>[n, n]</c>, in the caller's dispose scope.</returns>
    /// <exception cref="LmcException">The function gives more than one element.</exception>
    public static Tensor Hessian(Func<Tensor, Tensor> function, Tensor point)
    {
        using var recorded = enable_grad();
        using var scope = NewDisposeScope();
        var x = Leaf(point);
        var gradient = Or0(Grad(Scalar(function(x)), x, null, again: true), x).flatten();
        var rows = Enumerable.Range(0, (int)gradient.shape[0])
            .Select(k => gradient.requires_grad ? Or0(Grad(gradient[k], x, null, again: true), x).flatten() : zeros_like(gradient))
            .ToArray();
        return stack(rows).detach().MoveToOuterDisposeScope();
    }

    private static Tensor Leaf(Tensor point) => point.detach().clone().requires_grad_();

    private static Tensor? Grad(Tensor output, Tensor input, Tensor? weights, bool again) =>
        !output.requires_grad
            ? null // a constant
            : autograd.grad(
                [output], [input], weights is null ? null : [weights], retain_graph: again, create_graph: again, allow_unused: true)[0];

    // Torch gives nothing where an output does not depend on the input.
    private static Tensor Or0(Tensor? gradient, Tensor like) =>
        gradient is null || gradient.IsInvalid ? zeros_like(like) : gradient;

    private static Tensor Scalar(Tensor value)
    {
        Guard.Require(value.numel() == 1, $"expected a function that gives one number, found a value of shape {Guard.Show(value.shape)}");
        return value.sum();
    }

    private static void RequireLike(Tensor expected, Tensor vector) =>
        Guard.Shape("vector", vector, [.. expected.shape]);
}
