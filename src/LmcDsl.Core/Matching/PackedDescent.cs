using LmcDsl.Core.Permutations;
using LmcDsl.Core.Solvers;
using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>
/// Coordinate descent on a packed pair: one group at a time is matched exactly, by a linear assignment problem, with the others held. Costs
/// are kept while neighbours move, and each problem starts from its last answer. The objective never goes down.
/// </summary>
internal sealed class PackedDescent : IDisposable
{
    // Float32 costs are off by about 1e-6 of the units' norms: a gain above this share of the costs is real.
    private const double SureShare = 1e-3;

    private readonly PackedPair pair;
    private readonly Tensor?[] costs;
    private readonly Assignment?[] last;
    private readonly bool[] stale;
    private readonly double[] terms; // of the sums that each cost is, where computed whole
    private readonly double[] updates; // of the sums that were added since

    /// <summary>Begins at the given permutations.</summary>
    /// <param name="pair">The models.</param>
    /// <param name="start">Of each group, which unit of the second model is in each place.</param>
    /// <param name="last">Answers to similar problems, where there are any.</param>
    public PackedDescent(PackedPair pair, int[][] start, Assignment?[]? last = null)
    {
        this.pair = pair;
        Found = [.. start];
        this.last = last ?? new Assignment?[start.Length];
        costs = new Tensor?[start.Length];
        stale = [.. start.Select(_ => true)];
        (terms, updates) = (new double[start.Length], new double[start.Length]);
    }

    /// <summary>The permutations so far.</summary>
    public int[][] Found { get; }

    /// <summary>Passes over the groups, in random order, until one changes nothing.</summary>
    /// <param name="random">Gives the order of each pass.</param>
    /// <param name="maxSweeps">Passes after which to end though something still changed.</param>
    /// <returns>The number of passes and why it stopped.</returns>
    public (int Sweeps, StopReason Stopped) Run(Random random, int maxSweeps)
    {
        for (var sweeps = 1; sweeps <= maxSweeps; sweeps++)
        {
            var changed = false;
            foreach (var g in Permutation.Random(Found.Length, random).Sources)
                if (stale[g]) changed |= Improve(g);
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
        if (costs[g] is null)
        {
            costs[g] = pair.Cost(g, Found);
            terms[g] = pair.Links[g].Sum(link => (double)link.Left.numel() / pair.Units[g]);
            updates[g] = 0;
        }

        var n = pair.Units[g];
        var answer = LinearAssignment.Minimize(PackedPair.Numbers(costs[g]!), n, last[g]);
        last[g] = answer;
        var (places, before, now) = PackedPair.Changes(Found[g], answer.Columns);
        if (places.Length == 0 || !IsBetter(g, answer.Columns, places, before, now)) return false;
        Found[g] = answer.Columns;
        foreach (var x in pair.Readers[g])
        {
            stale[x] = true;
            if (x == g) Forget(g); // on both sides of a weight: its own costs change in every number
            else if (costs[x] is { } cost)
            {
                foreach (var link in pair.Links[x].Where(link => link.From == g))
                {
                    PackedPair.Update(cost, link, places, before, now);
                    updates[x] += (double)places.Length * link.Left.shape[1] / pair.Units[x];
                }
            }
        }

        return true;
    }

    private bool IsBetter(int g, int[] next, int[] places, int[] before, int[] now)
    {
        if (!pair.IsOnBothSides(g))
        {
            var cost = PackedPair.Numbers(costs[g]!);
            double gain = 0, size = 0;
            for (var k = 0; k < places.Length; k++)
            {
                double stay = cost[places[k] * pair.Units[g] + before[k]], go = cost[places[k] * pair.Units[g] + now[k]];
                gain += stay - go;
                size += Math.Abs(stay) + Math.Abs(go);
            }

            if (gain > SureShare * size) return true;
        }

        return pair.Gain(g, Found, next) > 0;
    }

    private void Forget(int g)
    {
        costs[g]?.Dispose();
        costs[g] = null;
    }

    private bool Refresh()
    {
        var any = false;
        for (var g = 0; g < costs.Length; g++)
        {
            if (!(updates[g] > 3 * terms[g])) continue;
            Forget(g);
            (stale[g], any) = (true, true);
            updates[g] = 0;
        }

        return any;
    }
}
