using System.Collections.Immutable;
using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Checkpoints;

/// <summary>One of the sets of named tensors that a file holds.</summary>
/// <param name="Key">Where it lies: the keys around it, joined by dots; empty where nothing is around it.</param>
/// <param name="Entries">Its tensors.</param>
/// <param name="Others">What else is among them, by name, with what it is.</param>
public sealed record StateDict(string Key, ImmutableArray<TensorEntry> Entries, IReadOnlyDictionary<string, string> Others)
{
    /// <summary>The key, or a word for none.</summary>
    public string Title => Key.Length == 0 ? "." : Key;

    /// <inheritdoc/>
    public override string ToString() => $"{Title} ({Entries.Length} tensors)";
}

/// <summary>
/// Finds the sets of named tensors in what a training script saved: dicts under any key, one in another or in lists, modules saved whole, and
/// what objects hold as attributes. Dicts whose keys are numbers (the state of an optimiser) are none.
/// </summary>
internal static class StateDicts
{
    private const int Deepest = 8;
    private const int LongestKey = 200;
    private const int MostValues = 1 << 16;
    private const int LongestList = 64;

    /// <summary>Finds them.</summary>
    /// <param name="root">What the file holds.</param>
    /// <param name="work">What finding may cost.</param>
    /// <returns>Where each lies, and what it holds by name; the outer ones first.</returns>
    public static List<(string Key, IReadOnlyList<(string Name, object? Value)> Items)> Find(object? root, WorkLimit work)
    {
        var found = new List<(string, IReadOnlyList<(string, object?)>)>();
        var seen = new HashSet<object>(ReferenceEqualityComparer.Instance);
        var open = new Queue<(string Key, object Value, int Depth)>();
        Enter("", "", root, 0);
        while (open.TryDequeue(out var at))
        {
            var items = Items(at.Value, work);
            if (items.Any(item => item.Value is TorchTensor)) found.Add((at.Key, items));
            if (at.Depth == Deepest || at.Value is PickleObject own && PickledModule.Is(own)) continue;
            foreach (var (key, value) in items)
                if (key.Length <= LongestKey) Enter(at.Key, key, value, at.Depth + 1);
        }

        return found;

        void Enter(string around, string key, object? value, int depth)
        {
            if (value is not (PickleDict or PickleObject or List<object?> or object?[]) || seen.Count >= MostValues || !seen.Add(value)) return;
            work.Spend(around.Length + key.Length + 1);
            open.Enqueue((around.Length == 0 ? key : $"{around}.{key}", value, depth));
        }
    }

    private static IReadOnlyList<(string Name, object? Value)> Items(object value, WorkLimit work) => value switch
    {
        PickleDict dict => dict.Items,
        PickleObject module when PickledModule.Is(module) => PickledModule.Items(module, work),
        PickleObject { HasItems: true } dict => dict.Items.Items,
        PickleObject { State: PickleDict attributes } => attributes.Items,
        List<object?> { Count: <= LongestList } list => Numbered(list),
        object?[] { Length: <= LongestList } tuple => Numbered(tuple),
        _ => [],
    };

    // Tensors in a list have no names of their own.
    private static List<(string, object?)> Numbered(IReadOnlyList<object?> items) =>
        [.. items.Select((item, k) => (k.ToString(System.Globalization.CultureInfo.InvariantCulture), item is TorchTensor ? null : item))];
}
