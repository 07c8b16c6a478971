using System.Collections.Concurrent;
using System.Text.RegularExpressions;
using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Architectures;

/// <summary>The kinds of layer that are known in this process, by the names that JSON has for them.</summary>
internal static partial class LayerKinds
{
    private static readonly ConcurrentDictionary<string, Type> Types = new(StringComparer.OrdinalIgnoreCase);
    private static readonly ConcurrentDictionary<Type, LayerKind> Kinds = new();

    // The library's own first, so that no other class takes their names.
    static LayerKinds()
    {
        foreach (var type in typeof(Layer).Assembly.GetTypes())
            if (type.IsSubclassOf(typeof(Layer)) && !type.IsAbstract) Types[NameOf(type)] = type;
    }

    /// <summary>The names known, in the order of the alphabet.</summary>
    public static IEnumerable<string> Names => Types.Keys.Order(StringComparer.Ordinal);

    /// <summary>A class's name, beginning in lower case.</summary>
    public static string NameOf(Type type) => char.ToLowerInvariant(type.Name[0]) + type.Name[1..];

    /// <summary>Makes a class known.</summary>
    /// <exception cref="LmcException">Another class has its name.</exception>
    public static Type Add(Type type)
    {
        var known = Types.GetOrAdd(NameOf(type), type);
        if (known == type) return type;
        // A script that is evaluated again in one session defines its classes anew: the last one counts.
        Guard.Require(
            Origin(known) == Origin(type),
            $"layer kind '{NameOf(type)}': expected one class of that name, found {Origin(known)} and {Origin(type)}");
        Types[NameOf(type)] = type;
        return type;
    }

    /// <summary>The kind of that name, in upper or lower case; null where none is known.</summary>
    public static LayerKind? Find(string name) => Types.TryGetValue(name, out var type) ? Find(type) : null;

    /// <summary>What a class is in JSON.</summary>
    /// <exception cref="LmcException">The arguments of its constructor cannot be read from its properties.</exception>
    public static LayerKind Find(Type type) => Kinds.GetOrAdd(type, type => new LayerKind(type));

    // F# interactive puts each evaluation into a module of its own, FSI_0002 and so on.
    private static string Origin(Type type) => Evaluation().Replace(type.FullName ?? type.Name, "");

    [GeneratedRegex(@"^FSI_\d+[.+]")]
    private static partial Regex Evaluation();
}
