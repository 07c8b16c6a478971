using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Checkpoints;

// What a pickle may hold, as values that refer to each other by identity: none is compared, hashed or written out by what is in it, since
// that would follow what a file nests. Texts are string, whole numbers long, others double, tuples object?[], lists List<object?>.

/// <summary>A global that a pickle names: never looked up, only compared with the few that are known.</summary>
/// <param name="Module">Its module.</param>
/// <param name="Name">Its name there.</param>
internal sealed record PickleGlobal(string Module, string Name)
{
    /// <inheritdoc/>
    public override string ToString() => Excerpt.Of($"{Module}.{Name}");
}

/// <summary>What a pickle refers to outside of itself: of PyTorch's, the storage of a tensor.</summary>
/// <param name="id">The reference.</param>
internal sealed class PickleReference(object? id)
{
    /// <summary>The reference.</summary>
    public object? Id { get; } = id;
}

/// <summary>A dict: its items in order, and those whose keys are texts by their keys; a later item takes the place of one of the same text.</summary>
internal sealed class PickleDict
{
    private List<(string Key, object? Value)>? items;
    private Dictionary<string, int>? places;

    /// <summary>The items whose keys are texts.</summary>
    public IReadOnlyList<(string Key, object? Value)> Items => items ?? [];

    /// <summary>How many items have other keys; what they hold is passed over.</summary>
    public int OtherKeys { get; private set; }

    /// <summary>Sets an item.</summary>
    /// <param name="key">Its key.</param>
    /// <param name="value">Its value.</param>
    public void Set(object? key, object? value)
    {
        if (key is not string text)
        {
            OtherKeys++;
            return;
        }

        items ??= [];
        places ??= [];
        if (places.TryAdd(text, items.Count)) items.Add((text, value));
        else items[places[text]] = (text, value);
    }

    /// <summary>The value of a text.</summary>
    /// <param name="key">The text.</param>
    /// <returns>The value, or nothing.</returns>
    public object? Get(string key) => places is not null && places.TryGetValue(key, out var place) ? items![place].Value : null;
}

/// <summary>A set or a frozen set.</summary>
/// <param name="items">What it was made of; not copied, since a pickle can name one list many times.</param>
internal sealed class PickleSet(IReadOnlyList<object?> items)
{
    private readonly List<object?> added = [];

    /// <summary>What is in it.</summary>
    public IEnumerable<object?> Items => items.Concat(added);

    /// <summary>How many are in it, some perhaps twice.</summary>
    public int Count => items.Count + added.Count;

    /// <summary>Adds to it.</summary>
    /// <param name="more">What to add.</param>
    public void Add(IEnumerable<object?> more) => added.AddRange(more);
}

/// <summary>
/// An object of a class, or the result of a function, that is not known here: what it would be made of, and what was set on it. Neither is
/// looked up, called or made.
/// </summary>
/// <param name="maker">The class or function; mostly a <see cref="PickleGlobal"/>.</param>
internal sealed class PickleObject(object? maker)
{
    private PickleDict? items;

    /// <summary>The class or function.</summary>
    public object? Maker { get; } = maker;

    /// <summary>Its state, of an ordinary object the dict of its attributes.</summary>
    public object? State { get; set; }

    /// <summary>What it holds as a dict.</summary>
    public PickleDict Items => items ??= new PickleDict();

    /// <summary>Whether it holds anything as a dict.</summary>
    public bool HasItems => items is not null;
}

/// <summary>What values are, in words.</summary>
internal static class PickleValue
{
    /// <summary>What a value is, without what is in it.</summary>
    /// <param name="value">Any value of a pickle.</param>
    /// <returns>A few words.</returns>
    public static string Describe(object? value) => value switch
    {
        null => "None",
        bool truth => truth ? "True" : "False",
        long number => $"the number {number}",
        double => "a number",
        string text => $"the text '{Excerpt.Of(text, 40)}'",
        byte[] bytes => $"{bytes.Length} bytes",
        object?[] tuple => $"a tuple of {tuple.Length}",
        List<object?> list => $"a list of {list.Count}",
        PickleSet set => $"a set of {set.Count}",
        PickleDict dict => $"a dict of {dict.Items.Count + dict.OtherKeys}",
        PickleGlobal global => $"the global {global}",
        PickleReference => "a reference",
        PickleObject { Maker: PickleGlobal maker } => $"an object of {maker}",
        TorchTensor => "a tensor",
        _ => "an object",
    };
}
