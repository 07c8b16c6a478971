using System.Collections.Immutable;
using LmcDsl.Core.Checkpoints;
using static TorchSharp.torch;

namespace LmcDsl.Core.Importing;

/// <summary>A tensor of a checkpoint, under the name that the network has for it.</summary>
/// <param name="name">The name.</param>
/// <param name="entry">What the checkpoint says of it.</param>
/// <param name="read">Reads its numbers.</param>
internal sealed class KnownTensor(string name, TensorEntry entry, Func<Tensor> read) : IDisposable
{
    private readonly Dictionary<ScalarType, (Tensor Values, Tensor Order)> sorted = [];
    private readonly Dictionary<ScalarType, (double Least, double Most)> ranges = [];
    private Tensor? numbers;

    public string Name => name;

    public ImmutableArray<long> Shape => entry.Shape;

    /// <summary>Its numbers as they are stored; the tensor stays this one's.</summary>
    public Tensor Numbers => numbers ??= read().DetachFromDisposeScope();

    /// <summary>Its numbers, read anew, in the caller's dispose scope.</summary>
    public Tensor Read() => read();

    /// <summary>The tensor as a graph would hold it.</summary>
    public OnnxTensor Stored() => OnnxTensor.From(name, entry.Type.Name, entry.Shape, read);

    /// <summary>Its smallest and its largest number, rounded to a type.</summary>
    public (double Least, double Most) Range(ScalarType type)
    {
        if (ranges.TryGetValue(type, out var known)) return known;
        using var scope = NewDisposeScope();
        var values = Numbers.to(type).to(ScalarType.Float64);
        return ranges[type] = values.numel() == 0 ? (0, 0) : (values.min().item<double>(), values.max().item<double>());
    }

    /// <summary>Whether a number stands in it somewhere.</summary>
    public bool Holds(Tensor number) => Numbers.to(number.dtype).eq(number).any().item<bool>();

    /// <summary>Whether other numbers are these in another order, or shape; numbers that are all the same are nobody's.</summary>
    public bool HasNumbersOf(Tensor other)
    {
        if (other.numel() != entry.Count || other.numel() < 2) return false;
        var own = Range(other.dtype);
        using var scope = NewDisposeScope();
        var wanted = other.to(ScalarType.Float64);
        if (own.Least == own.Most || wanted.min().item<double>() != own.Least || wanted.max().item<double>() != own.Most) return false;
        return Sorted(other.dtype).Values.equal(wanted.flatten().sort().Values).all().item<bool>();
    }

    /// <summary>
    /// Where numbers stand, counted along all axes; -1 for one that stands nowhere or more than once.
    /// </summary>
    /// <param name="values">A list of numbers.</param>
    /// <param name="type">The type to which this tensor's numbers are rounded first.</param>
    public long[] Places(Tensor values, ScalarType type)
    {
        using var scope = NewDisposeScope();
        var own = Sorted(type);
        var wanted = values.to(ScalarType.Float64).contiguous();
        var (first, last) = (searchsorted(own.Values, wanted), searchsorted(own.Values, wanted, right: true));
        var places = own.Order.index_select(0, first.clamp(0, own.Values.numel() - 1));
        return [.. where(last - first == 1, places, -ones_like(places)).data<long>()];
    }

    // Rounded to a type, in ascending order, and where each stands; kept.
    private (Tensor Values, Tensor Order) Sorted(ScalarType type)
    {
        if (sorted.TryGetValue(type, out var known)) return known;
        var (ascending, order) = Numbers.to(type).to(ScalarType.Float64).flatten().sort();
        return sorted[type] = (ascending.DetachFromDisposeScope(), order.DetachFromDisposeScope());
    }

    public void Dispose()
    {
        numbers?.Dispose();
        foreach (var (values, order) in sorted.Values)
        {
            values.Dispose();
            order.Dispose();
        }
    }
}

/// <summary>
/// The tensors of real numbers that a checkpoint holds, under the names that a network has for them: those of the file without wrappers, and
/// without what stands before the names in the file alone.
/// </summary>
internal sealed class KnownTensors : IDisposable
{
    private readonly Dictionary<string, KnownTensor> tensors = [];

    /// <summary>Takes a checkpoint's tensors.</summary>
    /// <param name="source">The checkpoint; it must stay open while numbers are asked for.</param>
    /// <param name="heard">Names that the graph has kept, and the modules in which its nodes stand: what prefixes are told by.</param>
    /// <param name="rename">How names become the network's; where none is given, without wrappers.</param>
    public KnownTensors(TensorSource source, IReadOnlyCollection<string> heard, Func<string, string>? rename)
    {
        rename ??= Checkpoints.Prefix.Bare;
        TensorEntry[] entries = [.. source.Entries.Where(entry => entry.Type.IsComputed && !entry.Type.IsWhole)];
        string[] names = [.. entries.Select(entry => entry.Name)];
        // A prefix of a file's names, and one of a graph's that was exported out of a wrapper: those by which most fits, the shortest of such.
        string[] before = [.. Checkpoints.Prefix.Candidates(names, Math.Max(1, names.Length / 2))];
        string[] around = [.. Checkpoints.Prefix.Candidates([.. heard], Math.Max(1, heard.Count / 2))];
        var (fits, own, outer) = (-1, "", "");
        foreach (var prefix in before)
        {
            HashSet<string> modules = [.. names.Where(name => name.StartsWith(prefix, StringComparison.Ordinal)).SelectMany(name => Levels(rename(name[prefix.Length..])))];
            foreach (var wrapper in around)
                if (heard.Count(name => name.StartsWith(wrapper, StringComparison.Ordinal) && modules.Contains(name[wrapper.Length..])) is var count && count > fits)
                    (fits, own, outer) = (count, prefix, wrapper);
        }

        Wrapper = outer;
        foreach (var entry in entries.Where(entry => entry.Name.StartsWith(own, StringComparison.Ordinal)))
        {
            var name = rename(entry.Name[own.Length..]);
            tensors.TryAdd(name, new KnownTensor(name, entry, () => source.Read(entry.Name)));
        }
    }

    /// <summary>What stands before the graph's names alone; empty or with its last dot.</summary>
    public string Wrapper { get; }

    public IReadOnlyCollection<KnownTensor> All => tensors.Values;

    public KnownTensor? Find(string name) => tensors.GetValueOrDefault(name);

    /// <summary>The tensor beside one, in the same layer: its bias beside its weight.</summary>
    public KnownTensor? Beside(KnownTensor tensor, string local, string other) =>
        tensor.Name.EndsWith(local, StringComparison.Ordinal) ? Find($"{tensor.Name[..^local.Length]}{other}") : null;

    public void Dispose()
    {
        foreach (var tensor in tensors.Values) tensor.Dispose();
    }

    // The name, and every module that it is in.
    private static IEnumerable<string> Levels(string name)
    {
        for (var end = name.Length; end > 0; end = name.LastIndexOf('.', end - 1)) yield return name[..end];
    }
}
