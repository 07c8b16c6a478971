using System.Collections.Immutable;
using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// What a layer says of itself while a network is wired: the parameters that it has, the axes that it makes, and which
/// axes must be permuted together. The permutation symmetries are the classes of labels that follow from these equations.
/// </summary>
public sealed class Wiring
{
    private readonly Unification labels = new();
    private readonly List<ParameterSpec> parameters = [];
    private readonly List<ImmutableArray<Axis>> inner = [];
    private readonly List<(string Layer, int Parameter)> uses = [];
    private string layer = "";

    internal IReadOnlyList<ParameterSpec> Parameters => parameters;

    // Which parameters each layer computes with, in the order in which it declared them.
    internal ILookup<string, int> Uses => uses.ToLookup(use => use.Layer, use => use.Parameter);

    // Tensors within layers, each as its axes.
    internal IReadOnlyList<ImmutableArray<Axis>> Inner => inner;

    // What had to be fixed since two sides could not be brought together.
    internal IReadOnlyList<string> Notes => labels.Notes;

    /// <summary>Makes an axis with a label of its own: its units may be permuted.</summary>
    /// <param name="units">Number of units.</param>
    /// <returns>The axis.</returns>
    /// <exception cref="LmcException">There is not one unit.</exception>
    public Axis Fresh(int units)
    {
        Guard.Require(units >= 1, $"layer '{layer}': expected axes of 1 or more units, found {units}");
        return labels.Fresh(units);
    }

    /// <summary>Makes an axis whose order is fixed, such as a kernel's rows.</summary>
    /// <param name="size">Its number of entries.</param>
    /// <returns>The axis.</returns>
    public Axis Fixed(int size)
    {
        var axis = Fresh(size);
        Fix(axis);
        return axis;
    }

    /// <summary>Forbids permuting what carries the axis's labels, as at the network's input and output.</summary>
    /// <param name="axis">The axis.</param>
    public void Fix(Axis axis) => labels.Pin(axis);

    /// <summary>Says why something had to be fixed, for <see cref="Network.Notes"/>.</summary>
    /// <param name="what">The reason; the layer's name is put before it.</param>
    public void Note(string what) => labels.Note(what);

    /// <summary>
    /// Says that two axes are permuted together, as a residual sum requires of its two sides. Where one is a product or a
    /// concatenation, the other is one of the same parts; where they cannot be brought together, both are fixed.
    /// </summary>
    /// <param name="left">One axis.</param>
    /// <param name="right">The other, of the same size.</param>
    /// <exception cref="LmcException">The axes differ in size.</exception>
    public void Unite(Axis left, Axis right)
    {
        Guard.Require(
            left.Size == right.Size, $"layer '{layer}': expected axes of the same size, found {left.Size} and {right.Size}");
        labels.Unify(left, right);
    }

    /// <summary>
    /// Allows no more than a class of transformations of what carries the axis's labels. What a layer's inputs and outputs have in common
    /// <see cref="Layer.Commutes"/> says; this is for axes that differ from that.
    /// </summary>
    /// <param name="axis">The axis.</param>
    /// <param name="most">The largest class that the layer carries over.</param>
    public void Restrict(Axis axis, SymmetryClass most) => labels.Restrict(axis, most);

    /// <summary>
    /// The axis as what reads it has it: where its units are transformed by a matrix, these take the inverse transpose. A weight's inputs
    /// are such, and of two signals that are summed against each other the second.
    /// </summary>
    /// <param name="axis">The axis.</param>
    /// <returns>The same labels, dual.</returns>
    public Axis Dual(Axis axis) => labels.Resolve(axis).Dual();

    /// <summary>Makes an axis of all pairs: for each entry of the outer axis in turn all of the inner one, as a flatten does.</summary>
    /// <param name="outer">The outer axis.</param>
    /// <param name="inner">The inner axis.</param>
    /// <returns>The axis, of the sizes' product.</returns>
    /// <exception cref="LmcException">The product does not fit into 32 bits.</exception>
    public Axis Product(Axis outer, Axis inner)
    {
        Sizes.Product($"layer '{layer}': entries of an axis", outer.Size, inner.Size);
        return labels.Product(outer, inner);
    }

    /// <summary>Makes an axis of several, one after the other.</summary>
    /// <param name="axes">One or more axes.</param>
    /// <returns>The axis, of the sizes' sum.</returns>
    /// <exception cref="LmcException">No axis, or the sum does not fit into 32 bits.</exception>
    public Axis Concatenation(params Axis[] axes)
    {
        var size = axes.Sum(axis => (long)axis.Size);
        Guard.Require(
            axes.Length >= 1 && size <= int.MaxValue, $"layer '{layer}': expected 1 to {int.MaxValue} entries of an axis, found {size}");
        return new Axis(axes.SelectMany(axis => axis.Parts));
    }

    /// <summary>Takes an axis as a product: a number of copies, such as groups of channels or heads, and the units within each.</summary>
    /// <param name="axis">The axis.</param>
    /// <param name="copies">Number of copies; divides the axis's size.</param>
    /// <returns>The copies and the units of each. A side of one entry is fixed.</returns>
    /// <exception cref="LmcException">The size does not divide.</exception>
    public (Axis Copies, Axis Units) Split(Axis axis, int copies)
    {
        Guard.Require(
            copies >= 1 && axis.Size % copies == 0,
            $"layer '{layer}': expected a number of groups that divides {axis.Size}, found {copies}");
        if (copies == axis.Size) return (axis, Fixed(1));
        if (copies == 1) return (Fixed(1), axis);
        var (outer, units) = (Fresh(copies), Fresh(axis.Size / copies));
        Unite(axis, Product(outer, units));
        return (outer, units);
    }

    /// <summary>Takes a part of an axis.</summary>
    /// <param name="axis">The axis.</param>
    /// <param name="start">Its first entry.</param>
    /// <param name="length">Its number of entries.</param>
    /// <returns>The part; its units, and the others, are permuted among themselves.</returns>
    /// <exception cref="LmcException">The part is not within the axis.</exception>
    public Axis Slice(Axis axis, int start, int length)
    {
        Guard.Require(
            start >= 0 && length >= 1 && start <= axis.Size - length,
            $"layer '{layer}': expected a part within {axis.Size} entries, found {length} from {start} on");
        var part = Fresh(length);
        var before = start == 0 ? [] : new[] { Fresh(start) };
        var rest = axis.Size - length - start;
        var after = rest == 0 ? [] : new[] { Fresh(rest) };
        Unite(axis, Concatenation([.. before, part, .. after]));
        return part;
    }

    /// <summary>
    /// Says that the computation goes through a tensor of these axes, such as a norm's mean of each group. Units may be ordered by
    /// themselves within each copy only where every tensor that has them has the copies as well.
    /// </summary>
    /// <param name="axes">The tensor's axes.</param>
    public void Through(params Axis[] axes) => inner.Add([.. axes]);

    /// <summary>Declares a parameter of the layer being wired.</summary>
    /// <param name="name">Its name within the layer, for example <c>weight</c>.</param>
    /// <param name="role">What it is for.</param>
    /// <param name="initializer">How it is drawn.</param>
    /// <param name="fanIn">Inputs that one output sums over.</param>
    /// <param name="axes">Its axes.</param>
    public void Parameter(string name, ParameterRole role, Initializer initializer, int fanIn, params Axis[] axes)
    {
        uses.Add((layer, parameters.Count));
        parameters.Add(new ParameterSpec(layer, name, role, [.. axes], initializer, fanIn, Offset: 0));
    }

    /// <summary>Computes with a parameter of an earlier layer, as an output does that is tied to an embedding. It unites their axes.</summary>
    /// <param name="name">The parameter's whole name, for example <c>tokens.weight</c>.</param>
    /// <param name="axes">Its axes, as this layer has them.</param>
    /// <exception cref="LmcException">No earlier layer has the parameter, or its shape is another.</exception>
    public void Shared(string name, params Axis[] axes)
    {
        var index = parameters.FindIndex(parameter => parameter.Name == name);
        Guard.Require(
            index >= 0, $"layer '{layer}': expected one of the earlier parameters {Listing.Of(parameters.Select(p => p.Name))}, found '{name}'");
        var shape = parameters[index].Shape;
        Guard.Require(
            shape.SequenceEqual(axes.Select(axis => (long)axis.Size)),
            $"layer '{layer}': expected '{name}' of {Guard.Show([.. axes.Select(axis => (long)axis.Size)])}, found {Guard.Show(shape)}");
        foreach (var (one, other) in parameters[index].Axes.Zip(axes)) Unite(one, other);
        uses.Add((layer, index));
    }

    internal void Enter(string name)
    {
        layer = name;
        labels.Place = name;
    }

    internal Axis Resolve(Axis axis) => labels.Resolve(axis);

    internal string? FixedBy(int label) => labels.PinnedBy(label);

    internal bool IsFixed(int label) => labels.ClassOf(label) == SymmetryClass.Fixed;

    internal SymmetryClass ClassOf(int label) => labels.ClassOf(label);
}
