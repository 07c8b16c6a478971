using System.Collections.Immutable;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Checkpoints;

/// <summary>An open checkpoint of a known network: which parameter each of its tensors is.</summary>
public sealed class Placement
{
    private readonly Fit fit;
    private readonly string[] names; // where each parameter is read

    private Placement(
        TensorSource source, Network network, Fit fit, IEnumerable<(string Name, int Parameter)> copies, Func<string, bool> isBuffer)
    {
        (Source, Network, this.fit) = (source, network, fit);
        names = new string[network.Parameters.Length];
        foreach (var (entry, parameter) in fit.Places) names[parameter] = entry.Name;
        Places = fit.Places.Select(place => (place.Entry.Name, place.Parameter)).Concat(copies)
            .ToImmutableDictionary(place => place.Name, place => place.Parameter);
        PassedOver = [.. source.Entries.Where(entry =>
            !Places.ContainsKey(entry.Name) && !Checkpoints.Prefix.IsCounter(entry.Name) && !isBuffer(entry.Name))];
    }

    /// <summary>The checkpoint.</summary>
    public TensorSource Source { get; }

    /// <summary>What it is a model of.</summary>
    public Network Network { get; }

    /// <summary>
    /// Index of the parameter that each tensor is, by the tensor's name in the file. A parameter that several layers share may be there
    /// more than once, with the same numbers.
    /// </summary>
    public ImmutableDictionary<string, int> Places { get; }

    /// <summary>The prefix of the file's names that was taken off.</summary>
    public string Prefix => fit.Prefix;

    /// <summary>Tensors that are no parameter and no counter of batches: what lies beside the model.</summary>
    public ImmutableArray<TensorEntry> PassedOver { get; }

    /// <summary>What was decided in reading the file, in words; empty where there was nothing to decide.</summary>
    public string Note
    {
        get
        {
            List<string> said = [];
            if (Source.Key.Length > 0) said.Add($"state dict under '{Excerpt.Of(Source.Key)}'");
            if (Prefix.Length > 0) said.Add($"prefix '{Excerpt.Of(Prefix)}' taken off");
            var tied = Places.Keys.Except(names).Order(StringComparer.Ordinal).ToArray();
            if (tied.Length > 0) said.Add($"the same numbers under two names, and written so again: {Excerpt.Of([.. tied.Select(name => $"{name} as {names[Places[name]]}")], 5)}");
            if (PassedOver.Length > 0)
                said.Add($"{PassedOver.Length} tensors beside the model copied as they are: {Excerpt.Of([.. PassedOver.Select(entry => entry.Name)], 5)}");
            if (Source.Others.Count > 0) said.Add($"{Source.Others.Count} values that are no tensors left out: {Excerpt.Of([.. Source.Others.Keys], 5)}");
            return said.Count == 0 ? "" : $"{Source.Path}: {string.Join("; ", said)}";
        }
    }

    /// <summary>Finds the parameters of a network in an open checkpoint.</summary>
    /// <param name="source">The checkpoint.</param>
    /// <param name="network">The network.</param>
    /// <param name="names">How names become the network's.</param>
    /// <param name="key">
    /// Where the model lies: the keys around its tensors and a prefix of their names, joined by dots; <c>.</c> for neither. Where none is given,
    /// the prefix is the one by which the tensors fit.
    /// </param>
    /// <returns>The placement.</returns>
    /// <exception cref="LmcException">
    /// Tensors are missing, unexpected or of another shape (the line says the first of each, and what the file looks like), or several parts
    /// of the file fit (they are listed).
    /// </exception>
    public static Placement Of(TensorSource source, Network network, NameMap names, string? key = null)
    {
        var dict = new StateDict(source.Key, source.Entries, source.Others);
        var fits = Fits(source.Path, dict, network, names, key);
        if (fits.Count > 1) throw StateDictChoice.Ambiguous(source.Path, [.. fits.Select(Title)]);
        if (fits is [{ IsExact: true } fit]) return new Placement(source, network, fit, [], _ => false);
        var copies = Tied(source, fits[0]);
        return copies is not null ? new Placement(source, network, fits[0], copies, _ => false) : throw Misfit.Of(source.Path, fits[0], network, names);
    }

    // A parameter that a model calls by several names, such as an embedding that is its output too, is written under each, and read by one.
    private static (string Name, int Parameter)[]? Tied(TensorSource source, Fit fit)
    {
        if (fit.Missing.Count > 0 || fit.Misshaped.Count > 0 || fit.Unexpected.Any(entry => entry.Shape.All(size => size <= 1))) return null;
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        var copies = new List<(string, int)>();
        foreach (var entry in fit.Unexpected)
        {
            using var inner = NewDisposeScope();
            var numbers = source.Read(entry.Name);
            if (numbers.eq(numbers.flatten()[0]).all().item<bool>()) return null; // such as zeros, which many are
            int[] same =
            [
                .. fit.Places.Where(place => place.Entry.Type == entry.Type && place.Entry.Shape.SequenceEqual(entry.Shape)
                    && source.Read(place.Entry.Name).equal(numbers).all().item<bool>()).Select(place => place.Parameter),
            ];
            if (same.Length != 1) return null;
            copies.Add((entry.Name, same[0]));
        }

        return [.. copies];
    }

    /// <summary>The name in the file under which a parameter is read.</summary>
    /// <param name="parameter">Index into the network's parameters.</param>
    /// <returns>The name of one of the source's entries.</returns>
    public string NameOf(int parameter) => names[parameter];

    /// <summary>The placement by a fit that is exact, with more tensors that are one of its parameters each.</summary>
    /// <param name="source">The checkpoint.</param>
    /// <param name="network">The network.</param>
    /// <param name="fit">The fit.</param>
    /// <param name="copies">Tensors with the numbers of a parameter that is there under another name.</param>
    /// <param name="isBuffer">Whether a tensor's name is that of a constant, which nobody needs to hear of.</param>
    internal static Placement ByFit(
        TensorSource source, Network network, Fit fit, IEnumerable<(string Name, int Parameter)> copies, Func<string, bool> isBuffer) =>
        new(source, network, fit, copies, isBuffer);

    /// <summary>The rule that picks of a file's state dicts the one that a network fits.</summary>
    /// <param name="network">The network.</param>
    /// <param name="names">How names become the network's.</param>
    /// <param name="key">Where the model lies, as for <see cref="Of"/>.</param>
    /// <returns>The rule.</returns>
    public static StateDictChoice.Rule Fitting(Network network, NameMap names, string? key = null) => (path, found) =>
    {
        if (key is not null)
        {
            // The whole key, or the longest part of it that is one: what follows is a prefix.
            var named = found.Where(dict => key == dict.Title || dict.Key.Length == 0 || key.StartsWith($"{dict.Key}.", StringComparison.Ordinal))
                .Where(dict => key == dict.Title || Begins(dict, key))
                .MaxBy(dict => key == dict.Title ? int.MaxValue : dict.Key.Length);
            return named ?? throw StateDictChoice.None(path, key, found);
        }

        Fit[] fits = [.. found.SelectMany(dict => Fit.All(dict, network, names))];
        Fit[] exact = [.. fits.Where(fit => fit.IsExact)];
        if (exact.Length > 1 && exact.DistinctBy(fit => fit.Dict).Count() > 1)
            throw StateDictChoice.Ambiguous(path, [.. exact.Select(Title)]);
        return (exact.FirstOrDefault() ?? fits.OrderBy(fit => fit.Distance).ThenByDescending(fit => fit.Dict.Entries.Length).First()).Dict;
    };

    private static IReadOnlyList<Fit> Fits(string path, StateDict dict, Network network, NameMap names, string? key)
    {
        if (key is null) return Fit.All(dict, network, names);
        if (key != dict.Title)
            return Begins(dict, key) ? [Fit.By(dict, PrefixIn(dict, key), network, names)] : throw StateDictChoice.None(path, key, [dict]);
        var all = Fit.All(dict, network, names);
        return all.FirstOrDefault(fit => fit.Prefix.Length == 0 && fit.IsExact) is { } plain ? [plain] : all;
    }

    private static bool Begins(StateDict dict, string key) =>
        dict.Entries.Any(entry => entry.Name.StartsWith(PrefixIn(dict, key), StringComparison.Ordinal));

    private static string PrefixIn(StateDict dict, string key) => (dict.Key.Length == 0 ? key : key[(dict.Key.Length + 1)..]) + ".";

    private static string Title(Fit fit) => $"{Excerpt.Of(fit.Key)} ({fit.Places.Count} tensors)";
}
