using System.Runtime.InteropServices;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Permutations;
using LmcDsl.Core.Solvers;
using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>
/// Coordinate descent over permutations and rotations: one group at a time gets its best element, the others held. Works on copies in double.
/// </summary>
internal sealed class RotatedDescent : IDisposable
{
    // What counts as a rise of the objective, as a share of it: rounding in double is far below.
    private const double LeastRise = 1e-9;

    private readonly Network network;
    private Tensor[] a;
    private readonly Tensor[] b; // as transformed so far
    private readonly Permutation[] found;
    private readonly Tensor?[] turned;
    private readonly List<Tensor> owned = []; // all that was ever in it: what is taken back may be asked for again
    private readonly int[] turnOf; // the turn of each group; -1 where it has none
    private readonly ILookup<int, int> innerGroups;
    private readonly ILookup<int, int> innerTurns;
    private readonly bool[] counts; // whether a parameter is in the objective

    /// <summary>Takes two models' terms.</summary>
    /// <param name="network">The network.</param>
    /// <param name="a">The reference's, in double.</param>
    /// <param name="b">The other's; changed.</param>
    public RotatedDescent(Network network, Tensor[] a, Tensor[] b)
    {
        (this.network, this.a, this.b) = (network, a, b);
        found = [.. network.Groups.Select(group => Permutation.Identity(group.Units))];
        turned = new Tensor?[network.Turns.Length];
        turnOf = [.. network.Groups.Select(group => network.Turns.Select(turn => turn.Name).ToList().IndexOf(group.Name))];
        innerGroups = Enumerable.Range(0, network.Groups.Length).ToLookup(g => network.Groups[g].Parent);
        innerTurns = Enumerable.Range(0, network.Turns.Length).ToLookup(t => network.Turns[t].Parent);
        counts = [.. network.Parameters.Select(parameter => parameter.Role != ParameterRole.Statistic)];
    }

    /// <summary>Goes on with another reference.</summary>
    /// <param name="reference">Its terms.</param>
    public void Towards(Tensor[] reference) => a = reference;

    /// <summary>⟨a, g b⟩.</summary>
    public double Objective()
    {
        using var scope = NewDisposeScope();
        return Enumerable.Range(0, a.Length).Where(p => counts[p]).Sum(p => (a[p] * b[p]).sum().ToDouble());
    }

    /// <summary>What took the terms of b from what they were.</summary>
    public Transformation Found() => new(new PermutationSet(network, found), turned.Select(matrix => matrix?.clone()));

    /// <summary>Frees the matrices.</summary>
    public void Dispose()
    {
        foreach (var matrix in owned) matrix.Dispose();
    }

    /// <summary>Gives each group its best element, in the order in which the network has them.</summary>
    /// <param name="first">Whether nothing is aligned yet: then groups are matched first by what no other group moves, such as embeddings.</param>
    /// <returns>Whether the objective rose.</returns>
    public bool Pass(bool first)
    {
        var before = Objective();
        if (first) Groups(onlyAlone: true);
        Groups(onlyAlone: false);
        return Objective() - before > LeastRise * Math.Abs(before);
    }

    private void Groups(bool onlyAlone)
    {
        for (var g = 0; g < network.Groups.Length; g++)
        {
            if (network.Groups[g].Parent >= 0) continue;
            using var scope = NewDisposeScope();
            var hasInner = innerGroups[g].Any() || innerTurns[g].Any();
            if (onlyAlone && (hasInner || !Alone(g).Any())) continue;
            if (hasInner) Copies(g);
            else Whole(g, onlyAlone ? Alone(g) : network.Groups[g].Axes);
        }

        // Rotary pairs of a single head are within nothing, and no permutation.
        foreach (var t in innerTurns[-1].Where(t => network.Turns[t].Class == SymmetryClass.Pairs))
        {
            using var scope = NewDisposeScope();
            if (!onlyAlone) Rotate(t, network.Turns[t].Axes);
        }
    }

    // The axes of parameters that no other group moves.
    private IEnumerable<PermutedAxis> Alone(int group)
    {
        var others = network.Groups.Where((_, g) => g != group).Concat(network.Turns.Where(turn => turn.Name != network.Groups[group].Name))
            .SelectMany(other => other.Axes.Select(axis => axis.Parameter)).ToHashSet();
        return network.Groups[group].Axes.Where(axis => !others.Contains(axis.Parameter));
    }

    private void Whole(int g, IEnumerable<PermutedAxis> axes)
    {
        var t = turnOf[g];
        // Rotations have permutations among them; signs do not.
        if (t < 0 || network.Turns[t].Class == SymmetryClass.Signed) Assign(g, axes, t >= 0);
        if (t >= 0) Rotate(t, axes);
    }

    private void Rotate(int t, IEnumerable<PermutedAxis> axes)
    {
        var turn = network.Turns[t];
        var matters = axes.Select(axis => axis.Parameter).ToHashSet();
        var (matrix, _) = ClassMatrix.Nearest(turn.Class, Gain(turn.Axes.Where(axis => matters.Contains(axis.Parameter)), b, turn.Copies, turn.Units));
        Try(turn.Axes, () =>
        {
            foreach (var axis in turn.Axes) Transformation.Turn(b[axis.Parameter], axis, matrix);
            Keep(t, matrix);
        });
    }

    private void Assign(int g, IEnumerable<PermutedAxis> axes, bool signed)
    {
        var group = network.Groups[g];
        var gain = Gain(axes, b, 1, group.Units).select(0, 0);
        var answer = Best(signed ? gain.abs() : gain);
        if (answer.IsIdentity) return;
        Try(group.Axes, () =>
        {
            foreach (var axis in group.Axes) UnitView.Permute(b[axis.Parameter], axis, answer);
            found[g] = answer.After(found[g]);
            if (signed && turned[turnOf[g]] is { } signs) turned[turnOf[g]] = Owned(Reordered(signs, answer));
        });
    }

    // What is within copies is matched for all pairs of them, one shift after another; then copies, and all within, move at once.
    private void Copies(int g)
    {
        var pairs = new CopyPairs(network, g, [.. innerGroups[g]], [.. innerTurns[g]], a, b, counts);
        if (pairs.Better() is not { } answer) return;
        Try(network.Groups[g].Axes, () =>
        {
            foreach (var axis in network.Groups[g].Axes) UnitView.Permute(b[axis.Parameter], axis, answer.Copies);
            found[g] = answer.Copies.After(found[g]);
            foreach (var t in innerTurns[g])
                if (turned[t] is { } known) turned[t] = Owned(known.index_select(0, Torch(answer.Copies)));
            foreach (var (inner, within) in answer.Orders)
            {
                var order = PermutationSet.Inside(Permutation.Identity(answer.Copies.Count), within);
                foreach (var axis in network.Groups[inner].Axes) UnitView.Permute(b[axis.Parameter], axis, order);
            }

            foreach (var inner in innerGroups[g])
            {
                var size = network.Groups[inner].Units / answer.Copies.Count;
                var within = answer.Orders.TryGetValue(inner, out var orders)
                    ? orders
                    : [.. Enumerable.Repeat(Permutation.Identity(size), answer.Copies.Count)];
                found[inner] = PermutationSet.Inside(answer.Copies, within).After(found[inner]);
            }

            foreach (var (t, matrix) in answer.Matrices)
            {
                foreach (var axis in network.Turns[t].Axes) Transformation.Turn(b[axis.Parameter], axis, matrix);
                Keep(t, matrix);
            }
        });
    }

    // What is exact for units on one side of each parameter may lower the objective where they are on both: then it is taken back.
    private void Try(IEnumerable<PermutedAxis> axes, Action change)
    {
        var touched = axes.Select(axis => axis.Parameter).Distinct().ToArray();
        var before = touched.Select(p => b[p].clone()).ToArray();
        var (orders, matrices) = (found.ToArray(), turned.ToArray());
        double Value() => touched.Where(p => counts[p]).Sum(p => (a[p] * b[p]).sum().ToDouble());
        var value = Value();
        change();
        if (Value() >= value) return;
        for (var k = 0; k < touched.Length; k++) b[touched[k]].copy_(before[k]);
        orders.CopyTo(found, 0);
        matrices.CopyTo(turned, 0);
    }

    // After what was kept.
    private void Keep(int t, Tensor matrix) => turned[t] = Owned(turned[t] is { } known ? matrix.bmm(known) : matrix.clone());

    private Tensor Owned(Tensor matrix)
    {
        owned.Add(matrix.DetachFromDisposeScope());
        return matrix;
    }

    // Signs move with the units that have them.
    private static Tensor Reordered(Tensor signs, Permutation order)
    {
        var at = Torch(order);
        return signs.index_select(1, at).index_select(2, at);
    }

    private Tensor Gain(IEnumerable<PermutedAxis> axes, Tensor[] moved, int copies, int units) =>
        Gain(axes.Where(axis => counts[axis.Parameter]), a, moved, copies, units);

    /// <summary>Entry (c, i, j): what unit i of the reference's copy c has in common with unit j of the moved model's.</summary>
    internal static Tensor Gain(IEnumerable<PermutedAxis> axes, Tensor[] a, Tensor[] moved, int copies, int units)
    {
        var gain = zeros([copies, units / copies, units / copies], dtype: ScalarType.Float64, device: a[0].device);
        foreach (var axis in axes)
        {
            using var scope = NewDisposeScope();
            Tensor Rows(Tensor tensor) => UnitView.Front(tensor, axis).reshape([copies, units / copies, -1]);
            gain.add_(Rows(a[axis.Parameter]).bmm(Rows(moved[axis.Parameter]).transpose(1, 2)));
        }

        return gain;
    }

    /// <summary>The order for which the sum of gains is greatest.</summary>
    internal static Permutation Best(Tensor gain)
    {
        using var scope = NewDisposeScope();
        // In float, as the solver takes it; of any size, so that the largest gain is 1.
        var largest = gain.abs().max().ToDouble();
        var cost = (largest > 0 ? gain / -largest : gain).to(ScalarType.Float32).cpu().contiguous();
        return new Permutation(LinearAssignment.Minimize(MemoryMarshal.Cast<byte, float>(cost.bytes), (int)gain.shape[0]).Columns);
    }

    private static Tensor Torch(Permutation order) => tensor(order.Sources.Select(source => (long)source).ToArray());
}
