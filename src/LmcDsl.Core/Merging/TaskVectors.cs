using static TorchSharp.torch;

namespace LmcDsl.Core.Merging;

/// <summary>What models differ from their base by, one parameter at a time, and the sign that they agree on.</summary>
internal static class TaskVectors
{
    /// <summary>The differences of all but the first from the first.</summary>
    /// <param name="values">The base, then the models, float64.</param>
    /// <returns>One task vector for each model.</returns>
    public static IReadOnlyList<Tensor> Of(IReadOnlyList<Tensor> values) => [.. values.Skip(1).Select(value => value.sub(values[0]))];

    /// <summary>Sets all but the largest numbers to zero (TIES, 2306.01708, step 1).</summary>
    /// <param name="task">A task vector.</param>
    /// <param name="density">The share that is kept, above 0; one number at least is.</param>
    /// <returns>The trimmed vector.</returns>
    public static Tensor Trim(Tensor task, double density)
    {
        var kept = Math.Max(1, (long)Math.Round(density * task.numel()));
        if (kept >= task.numel()) return task;
        var flat = task.reshape(-1);
        var (_, largest) = flat.abs().topk((int)kept, dim: 0);
        return zeros_like(flat).index_copy_(0, largest, flat.index_select(0, largest)).reshape(task.shape);
    }

    /// <summary>
    /// For each number the sign that weighs more, and the mean of those that have it (TIES, steps 2 and 3); zero where all are.
    /// </summary>
    /// <param name="tasks">Task vectors.</param>
    /// <returns>Their disjoint mean.</returns>
    public static Tensor Elected(IReadOnlyList<Tensor> tasks)
    {
        var all = stack(tasks);
        var agree = all.sign().eq(all.sum([0]).sign()).logical_and(all.ne(0));
        return all.mul(agree).sum([0]).div(agree.sum([0]).clamp(min: 1));
    }
}
