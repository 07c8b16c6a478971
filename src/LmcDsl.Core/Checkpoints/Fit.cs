using LmcDsl.Core.Architectures;

namespace LmcDsl.Core.Checkpoints;

/// <summary>How a set of named tensors fits a network when one prefix is taken off its names.</summary>
/// <param name="Dict">The tensors.</param>
/// <param name="Prefix">The prefix, empty or with its last dot.</param>
/// <param name="Places">Which parameter each tensor is, as far as they fit.</param>
/// <param name="Unexpected">Tensors that begin with the prefix and are no parameter, or one that another already is.</param>
/// <param name="Misshaped">Tensors whose shape is not that of their parameter, with it.</param>
/// <param name="Missing">Parameters that no tensor is.</param>
internal sealed record Fit(
    StateDict Dict,
    string Prefix,
    IReadOnlyList<(TensorEntry Entry, int Parameter)> Places,
    IReadOnlyList<TensorEntry> Unexpected,
    IReadOnlyList<(TensorEntry Entry, int Parameter)> Misshaped,
    IReadOnlyList<int> Missing)
{
    private const int MostChoices = 64;

    /// <summary>Whether every tensor after the prefix is a parameter, and each parameter there.</summary>
    public bool IsExact => Unexpected.Count == 0 && Misshaped.Count == 0 && Missing.Count == 0;

    /// <summary>By what a user chooses this one: the keys around the tensors and the prefix.</summary>
    public string Key => Prefix.Length == 0 ? Dict.Title : Dict.Key.Length == 0 ? Prefix.TrimEnd('.') : $"{Dict.Key}.{Prefix.TrimEnd('.')}";

    /// <summary>Every way in which a set of tensors fits a network exactly; where there is none, the one that comes nearest.</summary>
    /// <param name="dict">The tensors.</param>
    /// <param name="network">The network.</param>
    /// <param name="names">How names become the network's.</param>
    /// <returns>One fit that is not exact, or some that are, each by other tensors.</returns>
    public static IReadOnlyList<Fit> All(StateDict dict, Network network, NameMap names)
    {
        TensorEntry[] entries = [.. Concerning(dict, network)];
        var wanted = network.Parameters.Select((spec, k) => (spec.Name, k)).ToDictionary(p => p.Name, p => p.k);
        var exact = new List<Fit>();
        Fit? nearest = null;
        // From the longest, and what a part of the names fits is left aside when the rest is looked at: a wrapper's or a map's own prefix gives
        // no second fit of the same tensors, and a model beside its average gives two.
        foreach (var prefix in Enumerable.Reverse(Checkpoints.Prefix.Candidates([.. entries.Select(entry => entry.Name)], network.Parameters.Length)))
        {
            TensorEntry[] inside = [.. entries.Where(entry => entry.Name.StartsWith(prefix, StringComparison.Ordinal)
                && !exact.Any(other => entry.Name.StartsWith(other.Prefix, StringComparison.Ordinal)))];
            var fit = Of(dict, prefix, inside, network, names, wanted);
            // Where nothing tells one prefix from another, the longest that all names have.
            var isNearer = nearest is null || fit.Distance.CompareTo(nearest.Distance) < 0
                || fit.Distance == nearest.Distance && inside.Length > nearest.Size;
            if (isNearer) nearest = fit;
            if (fit.IsExact) exact.Add(fit);
            if (exact.Count == MostChoices) break;
        }

        return exact.Count > 0 ? [.. Enumerable.Reverse(exact)] : [nearest!];
    }

    /// <summary>How a set of tensors fits by a given prefix.</summary>
    /// <param name="dict">The tensors.</param>
    /// <param name="prefix">The prefix.</param>
    /// <param name="network">The network.</param>
    /// <param name="names">How names become the network's.</param>
    /// <returns>The fit.</returns>
    public static Fit By(StateDict dict, string prefix, Network network, NameMap names) =>
        Of(
            dict,
            prefix,
            [.. Concerning(dict, network).Where(entry => entry.Name.StartsWith(prefix, StringComparison.Ordinal))],
            network,
            names,
            network.Parameters.Select((spec, k) => (spec.Name, k)).ToDictionary(p => p.Name, p => p.k));

    /// <summary>How much of the network is missing or of another shape.</summary>
    public int Distance => Missing.Count + Misshaped.Count;

    // How many tensors begin with the prefix.
    private int Size => Places.Count + Unexpected.Count;

    // Counters of batches are wanted by norms that average over all batches; other networks have no use for them.
    private static IEnumerable<TensorEntry> Concerning(StateDict dict, Network network)
    {
        var counts = network.Parameters.Any(parameter => Checkpoints.Prefix.IsCounter(parameter.Name));
        return dict.Entries.Where(entry => counts || !Checkpoints.Prefix.IsCounter(entry.Name));
    }

    private static Fit Of(
        StateDict dict, string prefix, TensorEntry[] entries, Network network, NameMap names, Dictionary<string, int> wanted)
    {
        // Places, masks and other numbers that a network has as constants lie beside what it learned.
        bool IsBeside(TensorEntry entry) => entry.Type.IsWhole || names.IsConstant(entry.Name[prefix.Length..]);
        var fit = Of(dict, prefix, entries, network, wanted, names.Apply, IsBeside);
        if (fit.IsExact) return fit;
        (string, TensorEntry)[] bare = [.. entries.Select(entry => (Checkpoints.Prefix.Bare(entry.Name[prefix.Length..]), entry))];
        return NumberedLayers.Match(bare, network) is { } order
            ? Of(dict, prefix, entries, network, wanted, name => order[Checkpoints.Prefix.Bare(name)], IsBeside)
            : fit;
    }

    private static Fit Of(
        StateDict dict, string prefix, TensorEntry[] entries, Network network, Dictionary<string, int> wanted, Func<string, string> rename,
        Func<TensorEntry, bool> isBeside)
    {
        var found = new Dictionary<int, TensorEntry>();
        var unexpected = new List<TensorEntry>();
        var misshaped = new List<(TensorEntry, int)>();
        foreach (var entry in entries)
        {
            if (!wanted.TryGetValue(rename(entry.Name[prefix.Length..]), out var parameter) || !found.TryAdd(parameter, entry))
            {
                if (!isBeside(entry)) unexpected.Add(entry);
            }
            else if (!entry.Shape.AsSpan().SequenceEqual(network.Parameters[parameter].Shape))
                misshaped.Add((entry, parameter));
        }

        int[] missing = [.. Enumerable.Range(0, network.Parameters.Length).Where(k => !found.ContainsKey(k))];
        return new Fit(dict, prefix, [.. found.Select(place => (place.Value, place.Key))], unexpected, misshaped, missing);
    }
}
