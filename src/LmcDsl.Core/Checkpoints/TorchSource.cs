using System.Collections.Immutable;
using System.IO.Compression;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Checkpoints;

/// <summary>
/// A file of PyTorch's <c>torch.save</c> (version 1.6 and later): of a state dict, of anything that holds one, or of a module. Nothing in the
/// file is executed: what its pickle names is not looked up, and what is not a tensor is passed over.
/// </summary>
internal sealed class TorchSource : TensorSource
{
    private readonly TorchArchive archive;
    private readonly StoredTensor[] tensors;
    private readonly HashSet<ZipArchiveEntry> shared;
    private (ZipArchiveEntry Entry, StoredType Type, Tensor Numbers)? kept;

    public TorchSource(string path, StateDictChoice.Rule choice)
    {
        Path = path;
        archive = new TorchArchive(path);
        try
        {
            var pickle = archive.Pickle();
            var root = new PickleReader(pickle, path, new TorchPickle().Build).Read();
            var found = StateDicts.Find(root, new WorkLimit(path, pickle.Length)).Select(dict => Candidate.Of(dict.Key, dict.Items, archive, path)).ToArray();
            if (found.Length == 0) throw NoTensors(root);
            var chosen = choice(path, [.. found.Select(candidate => candidate.Dict)]);
            var (dict, places, broken) = found.First(candidate => ReferenceEquals(candidate.Dict, chosen));
            if (broken is not null) throw broken;
            (Key, Entries, Others, tensors) = (dict.Key, dict.Entries, dict.Others, places);
            shared = [.. places.GroupBy(place => place.Storage).Where(group => group.Count() > 1).Select(group => group.Key)];
        }
        catch (Exception error)
        {
            archive.Dispose();
            throw archive.Told(error);
        }
    }

    public override string Path { get; }

    public override string Key { get; }

    public override ImmutableArray<TensorEntry> Entries { get; }

    public override IReadOnlyDictionary<string, string> Others { get; }

    public override IReadOnlyDictionary<string, string> Metadata => ImmutableDictionary<string, string>.Empty;

    public override void Dispose()
    {
        kept?.Numbers.Dispose();
        archive.Dispose();
    }

    protected override Tensor Read(int index)
    {
        var tensor = tensors[index];
        using var scope = NewDisposeScope();
        if (tensor.Extent == 0) return empty(tensor.Shape, tensor.Type.Carrier).MoveToOuterDisposeScope();
        // Many tensors may be parts of one storage, which an archive gives from its beginning only: it is read once for all of them.
        return shared.Contains(tensor.Storage)
            ? Whole(tensor).as_strided(tensor.Shape, tensor.Stride, tensor.Offset).contiguous().clone().MoveToOuterDisposeScope()
            : Numbers(tensor, tensor.Offset, tensor.Extent).as_strided(tensor.Shape, tensor.Stride, 0).contiguous().MoveToOuterDisposeScope();
    }

    private Tensor Whole(StoredTensor tensor)
    {
        if (kept is { } last && last.Entry == tensor.Storage && last.Type == tensor.Type) return last.Numbers;
        kept?.Numbers.Dispose();
        kept = null;
        var numbers = Numbers(tensor, 0, tensor.Storage.Length * 8 / tensor.Type.Bits).DetachFromDisposeScope();
        kept = (tensor.Storage, tensor.Type, numbers);
        return numbers;
    }

    private Tensor Numbers(StoredTensor tensor, long start, long count)
    {
        var numbers = empty(count, tensor.Type.Carrier);
        try
        {
            using var stream = TorchArchive.OpenAt(tensor.Storage, start * numbers.element_size());
            Fill(numbers, (bytes, _) => stream.ReadExactly(bytes.Span));
        }
        catch (Exception error)
        {
            throw archive.Told(error);
        }

        return numbers;
    }

    private LmcException NoTensors(object? root)
    {
        var keys = root is PickleDict dict ? $" with {Excerpt.Of([.. dict.Items.Select(item => $"{Excerpt.Of(item.Key, 40)}: {PickleValue.Describe(item.Value)}")])}" : "";
        var why = root is PickleObject ? ", which is refused: nothing of a file is run" : "";
        return new($"{Path}: expected a state dict, or something that holds one, found {PickleValue.Describe(root)}{keys}{why}");
    }

    // A state dict with the places of its tensors, and what is wrong with the first that cannot be read; that is told where it is chosen.
    private sealed record Candidate(StateDict Dict, StoredTensor[] Places, LmcException? Broken)
    {
        public static Candidate Of(string key, IReadOnlyList<(string Name, object? Value)> items, TorchArchive archive, string path)
        {
            var entries = new List<TensorEntry>();
            var places = new List<StoredTensor>();
            var others = new Dictionary<string, string>();
            var names = new HashSet<string>();
            LmcException? broken = null;
            foreach (var (name, value) in items)
            {
                if (value is not TorchTensor tensor)
                {
                    others[name] = PickleValue.Describe(value);
                    continue;
                }

                try
                {
                    Guard.Require(names.Add(name), $"{path}: expected names of their own, found '{Excerpt.Of(name)}' twice");
                    places.Add(tensor.Resolve(archive, $"{path}: tensor '{Excerpt.Of(name)}'"));
                    entries.Add(new TensorEntry(name, places[^1].Type, [.. places[^1].Shape]));
                }
                catch (LmcException error)
                {
                    broken ??= error;
                }
            }

            return new Candidate(new StateDict(key, [.. entries], others), [.. places], broken);
        }
    }
}
