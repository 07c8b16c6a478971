using LmcDsl.Core.Architectures;
using LmcDsl.Core.Permutations;
using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>Where copies come from, the orders within them, and their matrices, each by the copy's new place.</summary>
internal sealed record CopyAnswer(Permutation Copies, Dictionary<int, Permutation[]> Orders, Dictionary<int, Tensor> Matrices);

/// <summary>
/// Matches copies, such as attention heads, together with all that has an order or a matrix of its own in each: the best of every pair of
/// copies is the cost of an assignment. All pairs (i, i + s) of one shift s are solved at once, as one batch.
/// </summary>
internal sealed class CopyPairs(
    Network network, int group, int[] innerGroups, int[] innerTurns, Tensor[] a, Tensor[] b, bool[] counts)
{
    // Orders within a copy that are all tried as starts, where they are so few; heads of queries for one of keys are.
    private const int MostStarts = 24;

    // Rounds over orders and matrices within a copy. Each is exact, and with one kind only the first is the last.
    private const int Rounds = 10;

    private static readonly Permutation?[] None = [null];

    private readonly int copies = network.Groups[group].Units;

    private readonly int[] parameters = [.. network.Groups[group].Axes.Select(axis => axis.Parameter).Distinct()];

    /// <summary>The best answer, its matrices in the caller's dispose scope; nothing where it is no better than what is.</summary>
    public CopyAnswer? Better()
    {
        using var scope = NewDisposeScope();
        var best = new Pair?[copies, copies];
        for (var shift = 0; shift < copies; shift++)
            foreach (var start in Starts()) Solve(shift, start, best);
        var score = new double[copies * copies];
        for (var i = 0; i < copies; i++)
            for (var j = 0; j < copies; j++) score[i * copies + j] = best[i, j]!.Value;
        var order = RotatedDescent.Best(tensor(score).view(copies, copies));
        var before = Values(b).sum().ToDouble();
        var after = order.Sources.Select((j, i) => best[i, j]!.Value).Sum();
        if (after <= before) return null;
        Pair[] chosen = [.. order.Sources.Select((j, i) => best[i, j]!)];
        return new CopyAnswer(
            order,
            innerGroups.Where(IsOrder).ToDictionary(g => g, g => chosen.Select(pair => pair.Orders[g]).ToArray()),
            innerTurns.ToDictionary(t => t, t => stack(chosen.Select(pair => pair.Matrices[t])).MoveToOuterDisposeScope()));
    }

    // Where rotations are allowed orders are among them.
    private bool IsOrder(int inner) => network.Groups[inner].Class == SymmetryClass.Permutation;

    private IEnumerable<Permutation?> Starts()
    {
        var orders = innerGroups.Where(IsOrder).ToArray();
        if (orders.Length != 1) return None;
        var units = network.Groups[orders[0]].Units / copies;
        return Enumerable.Range(1, units).Aggregate(1, (product, k) => Math.Min(product * k, MostStarts + 1)) <= MostStarts ? All(units) : None;
    }

    private static IEnumerable<Permutation?> All(int units)
    {
        IEnumerable<int[]> Longer(int[] chosen) =>
            chosen.Length == units
                ? [chosen]
                : Enumerable.Range(0, units).Except(chosen).SelectMany(next => Longer([.. chosen, next]));
        return Longer([]).Select(sources => new Permutation(sources));
    }

    // Copy i of the reference with copy i + shift of the other, for all i at once.
    private void Solve(int shift, Permutation? start, Pair?[,] best)
    {
        using var scope = NewDisposeScope();
        var moved = new Tensor[b.Length];
        foreach (var p in parameters) moved[p] = b[p].clone();
        var order = new Permutation(Enumerable.Range(0, copies).Select(i => (i + shift) % copies));
        foreach (var axis in network.Groups[group].Axes) UnitView.Permute(moved[axis.Parameter], axis, order);
        var orders = innerGroups.Where(IsOrder).ToDictionary(
            g => g, g => Enumerable.Repeat(Permutation.Identity(network.Groups[g].Units / copies), copies).ToArray());
        var matrices = innerTurns.ToDictionary(
            t => t, t => eye(network.Turns[t].Units / copies, dtype: ScalarType.Float64).expand(copies, -1, -1).clone());
        if (start is not null)
            foreach (var g in orders.Keys) Reorder(g, [.. Enumerable.Repeat(start, copies)], orders, moved);
        var value = double.NegativeInfinity;
        for (var round = 0; round < Rounds; round++)
        {
            foreach (var t in innerTurns)
            {
                var turn = network.Turns[t];
                var (matrix, _) = ClassMatrix.Nearest(turn.Class, Gain(turn, moved));
                foreach (var axis in turn.Axes) Transformation.Turn(moved[axis.Parameter], axis, matrix);
                matrices[t] = matrix.bmm(matrices[t]);
            }

            foreach (var g in orders.Keys)
            {
                var gain = Gain(network.Groups[g], moved);
                Reorder(g, [.. Enumerable.Range(0, copies).Select(c => RotatedDescent.Best(gain.select(0, c)))], orders, moved);
            }

            var next = Values(moved).sum().ToDouble();
            if (orders.Count == 0 && innerTurns.Length == 1 || next <= value + 1e-9 * Math.Abs(value)) break;
            value = next;
        }

        using var values = Values(moved);
        for (var i = 0; i < copies; i++)
        {
            var own = values[i].ToDouble();
            if (best[i, (i + shift) % copies] is { } known && known.Value >= own) continue;
            best[i, (i + shift) % copies] = new Pair(
                own,
                orders.ToDictionary(pair => pair.Key, pair => pair.Value[i]),
                matrices.ToDictionary(pair => pair.Key, pair => pair.Value.select(0, i).clone().MoveToOuterDisposeScope()));
        }
    }

    private void Reorder(int g, Permutation[] within, Dictionary<int, Permutation[]> orders, Tensor[] moved)
    {
        var all = PermutationSet.Inside(Permutation.Identity(copies), within);
        foreach (var axis in network.Groups[g].Axes) UnitView.Permute(moved[axis.Parameter], axis, all);
        for (var c = 0; c < copies; c++) orders[g][c] = within[c].After(orders[g][c]);
    }

    private Tensor Gain(PermutationGroup inner, Tensor[] moved) =>
        RotatedDescent.Gain(inner.Axes.Where(axis => counts[axis.Parameter]), a, moved, copies, inner.Units);

    // ⟨a, moved⟩ of each copy, [copies].
    private Tensor Values(Tensor[] moved)
    {
        var sum = zeros(copies, dtype: ScalarType.Float64);
        foreach (var axis in network.Groups[group].Axes.Where(axis => counts[axis.Parameter]).DistinctBy(axis => axis.Parameter))
            sum = sum + (UnitView.Front(a[axis.Parameter], axis) * UnitView.Front(moved[axis.Parameter], axis)).reshape([copies, -1]).sum([1L]);
        return sum;
    }

    private sealed record Pair(double Value, Dictionary<int, Permutation> Orders, Dictionary<int, Tensor> Matrices);
}
