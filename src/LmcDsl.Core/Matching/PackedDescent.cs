using LmcDsl.Core.Permutations;
using LmcDsl.Core.Solvers;
using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>
/// Coordinate descent on a packed pair: one group at a time is matched exactly, by a linear assignment problem, with the others held. Costs
/// are kept while neighbours move, and catch up with all that they did when they are needed; each problem starts from its last answer. The
/// objective never goes down.
/// </summary>
internal sealed class PackedDescent : IDescent
{
    // Float32 costs are off by about 1e-6 of the units' norms: a gain above this share of the costs is real.
    private const double SureShare = 1e-3;

    private readonly PackedPair pair;
    private readonly Tensor?[] costs;
    private readonly Assignment?[] last;
    private readonly int[][][] seen; // of each group's links: the order of the neighbour's units that its costs know
    private readonly bool[] stale;
    private readonly CostTerms[] terms;
    private readonly double?[] shares; // of each parameter in the objective, where known

    /// <summary>Begins at the given permutations.</summary>
    /// <param name="pair">The models.</param>
    /// <param name="start">Of each group, which unit of the second model is in each place.</param>
    /// <param name="last">Answers to similar problems, where there are any.</param>
    public PackedDescent(PackedPair pair, int[][] start, Assignment?[]? last = null)
    {
        this.pair = pair;
        Orders = [.. start];
        this.last = last ?? new Assignment?[start.Length];
        costs = new Tensor?[start.Length];
        seen = [.. pair.Links.Select(links => new int[links.Length][])];
        stale = [.. start.Select(_ => true)];
        terms = new CostTerms[start.Length];
        shares = new double?[pair.Network.Parameters.Length];
    }

    /// <summary>Of each group, which unit of the second model is in each place so far.</summary>
    public int[][] Orders { get; }

    /// <inheritdoc/>
    public double Updated => Enumerable.Range(0, costs.Length).Select(UpdatedOf).DefaultIfEmpty().Max();

    /// <inheritdoc/>
    public double MostUpdated { get; init; } = CostTerms.Most;

    /// <inheritdoc/>
    public PermutationSet Found => new(pair.Network, Orders.Select(order => new Permutation(order)));

    /// <inheritdoc/>
    public double Objective
    {
        get
        {
            for (var p = 0; p < shares.Length; p++)
                if (pair.Network.Parameters[p].Learned) shares[p] ??= pair.Share(p, Orders);
            return shares.Sum() ?? 0;
        }
    }

    /// <inheritdoc/>
    public (int Sweeps, StopReason Stopped) Run(Random random, int maxSweeps, Action<int>? told = null)
    {
        for (var sweeps = 1; sweeps <= maxSweeps; sweeps++)
        {
            var changed = false;
            foreach (var g in Permutation.Random(Orders.Length, random).Sources)
                if (stale[g]) changed |= Improve(g);
            told?.Invoke(sweeps);
            // Updates of costs carry rounding: where it is much, the last word is had on costs computed whole.
            if (!changed && !Refresh()) return (sweeps, StopReason.NothingChanged);
        }

        return (maxSweeps, StopReason.SweepLimit);
    }

    /// <summary>Frees the costs.</summary>
    public void Dispose()
    {
        foreach (var cost in costs) cost?.Dispose();
    }

    private bool Improve(int g)
    {
        stale[g] = false;
        CatchUp(g);
        var n = pair.Units[g];
        var answer = LinearAssignment.Minimize(UnitLayout.Numbers(costs[g]!), n, last[g]);
        last[g] = answer;
        var (places, before, now) = PackedPair.Changes(Orders[g], answer.Columns);
        if (places.Length == 0 || !IsBetter(g, answer.Columns, places, before, now)) return false;
        Orders[g] = answer.Columns;
        foreach (var axis in pair.Network.Groups[g].Axes) shares[axis.Parameter] = null;
        foreach (var x in pair.Readers[g]) stale[x] = true;
        return true;
    }

    // Each neighbour's moves since the costs were last needed count as one, and are a product as thin as that; so are a group's own where it is
    // on both sides of a weight.
    private void CatchUp(int g)
    {
        var links = pair.Links[g];
        var moves = links.Select((link, k) => seen[g][k] is { } known ? PackedPair.Changes(known, Orders[link.From]) : ([], [], [])).ToArray();
        if (costs[g] is null || links.Zip(moves).All(x => x.Second.Places.Length == pair.Units[x.First.From]))
        {
            Forget(g);
            costs[g] = pair.Cost(g, Orders);
            terms[g].Computed(links.Sum(link => (double)link.Terms));
        }
        else
        {
            foreach (var (link, (places, before, now)) in links.Zip(moves))
            {
                if (places.Length == 0) continue;
                link.Update(costs[g]!, places, before, now);
                terms[g].Add((double)places.Length * link.Terms / pair.Units[link.From]);
            }
        }

        for (var k = 0; k < links.Length; k++) seen[g][k] = Orders[links[k].From];
    }

    private bool IsBetter(int g, int[] next, int[] places, int[] before, int[] now)
    {
        if (!pair.IsOnBothSides(g))
        {
            var cost = UnitLayout.Numbers(costs[g]!);
            double gain = 0, size = 0;
            for (var k = 0; k < places.Length; k++)
            {
                double stay = cost[places[k] * pair.Units[g] + before[k]], go = cost[places[k] * pair.Units[g] + now[k]];
                gain += stay - go;
                size += Math.Abs(stay) + Math.Abs(go);
            }

            if (gain > SureShare * size) return true;
        }

        return pair.Gain(g, Orders, next) > 0;
    }

    private void Forget(int g)
    {
        costs[g]?.Dispose();
        costs[g] = null;
    }

    private double UpdatedOf(int g) => costs[g] is null ? 0 : terms[g].Updated;

    private bool Refresh()
    {
        var any = false;
        for (var g = 0; g < costs.Length; g++)
        {
            if (!(UpdatedOf(g) > MostUpdated)) continue;
            Forget(g);
            (stale[g], any) = (true, true);
        }

        return any;
    }
}
