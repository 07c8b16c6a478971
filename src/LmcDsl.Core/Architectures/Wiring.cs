using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// What a layer says of itself while a network is wired: the parameters that it has, the axes that it makes, and which
/// axes must be permuted together. The permutation symmetries are the classes of this union-find over labels.
/// </summary>
public sealed class Wiring
{
    private readonly List<int> parents = [];
    private readonly HashSet<int> pinned = [];
    private readonly List<ParameterSpec> parameters = [];
    private string layer = "";

    internal IReadOnlyList<ParameterSpec> Parameters => parameters;

    /// <summary>Makes an axis with a label of its own: its units may be permuted.</summary>
    /// <param name="units">Number of units.</param>
    /// <returns>The axis.</returns>
    /// <exception cref="LmcException">There is not one unit.</exception>
    public Axis Fresh(int units)
    {
        Guard.Require(units >= 1, $"layer '{layer}': expected axes of 1 or more units, found {units}");
        parents.Add(parents.Count);
        return new Axis(parents.Count - 1, units);
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

    /// <summary>Forbids permuting what carries the axis's label, as at the network's input and output.</summary>
    /// <param name="axis">The axis.</param>
    public void Fix(Axis axis) => pinned.Add(Root(axis.Label));

    /// <summary>Says that two axes are permuted together, as a residual sum requires of its two sides.</summary>
    /// <param name="left">One axis.</param>
    /// <param name="right">The other, of the same units and block.</param>
    /// <exception cref="LmcException">The axes differ in units or block.</exception>
    public void Unite(Axis left, Axis right)
    {
        Guard.Require(
            left.Units == right.Units && left.Block == right.Block,
            $"layer '{layer}': expected axes of the same size, found {left.Size} and {right.Size}");
        int into = Root(left.Label), from = Root(right.Label);
        if (into == from) return;
        parents[from] = into;
        if (pinned.Remove(from)) pinned.Add(into);
    }

    /// <summary>Declares a parameter of the layer being wired.</summary>
    /// <param name="name">Its name within the layer, for example <c>weight</c>.</param>
    /// <param name="role">What it is for.</param>
    /// <param name="initializer">How it is drawn.</param>
    /// <param name="fanIn">Inputs that one output sums over.</param>
    /// <param name="axes">Its axes.</param>
    public void Parameter(string name, ParameterRole role, Initializer initializer, int fanIn, params Axis[] axes) =>
        parameters.Add(new ParameterSpec(layer, name, role, [.. axes], initializer, fanIn, Offset: 0));

    internal void Enter(string name) => layer = name;

    internal bool IsFixed(Axis axis) => pinned.Contains(Root(axis.Label));

    internal int Root(int label)
    {
        while (parents[label] != label)
        {
            parents[label] = parents[parents[label]];
            label = parents[label];
        }

        return label;
    }
}
