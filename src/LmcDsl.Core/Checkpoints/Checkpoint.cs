using LmcDsl.Core.Architectures;
using LmcDsl.Core.Merging;
using LmcDsl.Core.Permutations;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Checkpoints;

/// <summary>
/// Models of a known architecture out of anybody's checkpoints, and back under the names and types that they had there. What is written has
/// the names, order, types and text of one checkpoint, and what is no parameter there is copied.
/// </summary>
public static class Checkpoint
{
    private const string FormatKey = "format";

    /// <summary>Opens a checkpoint; of several state dicts in a file, the one that the network fits.</summary>
    /// <param name="path">The file; see <see cref="TensorSource.Open"/>.</param>
    /// <param name="network">What it is a model of.</param>
    /// <param name="names">How its names become the architecture's.</param>
    /// <param name="key">Where in the file the model lies; see <see cref="Placement.Of"/>.</param>
    /// <param name="output">Of an ONNX model, which output is the network's; see <see cref="Importing.OnnxModel.Read"/>.</param>
    /// <param name="open">Of an ONNX model, the sizes that it leaves open.</param>
    /// <returns>Its placement; the source in it is the caller's to close.</returns>
    /// <exception cref="LmcException">There is no such model, or several fit and are listed.</exception>
    public static Placement Open(
        string path, Network network, NameMap names, string? key = null, string? output = null, IReadOnlyList<int>? open = null)
    {
        var source = TensorSource.IsOnnx(path) && File.Exists(path)
            ? new Importing.OnnxSource(path, output, open)
            : TensorSource.Open(path, Placement.Fitting(network, names, key));
        try
        {
            return Placement.Of(source, network, names, key);
        }
        catch
        {
            source.Dispose();
            throw;
        }
    }

    /// <summary>Reads a model.</summary>
    /// <param name="source">The open checkpoint.</param>
    /// <param name="network">What it is a model of.</param>
    /// <param name="names">How its names become the architecture's.</param>
    /// <returns>The parameters in float32, on the CPU.</returns>
    /// <exception cref="LmcException">Tensors are missing, unexpected or of another shape, or as for <see cref="Load(Placement, Action{long}?)"/>.</exception>
    public static ParameterSet Load(TensorSource source, Network network, NameMap names) => Load(Placement.Of(source, network, names));

    /// <summary>Reads a model.</summary>
    /// <param name="placement">The open checkpoint.</param>
    /// <param name="progress">Called after each tensor with the bytes of those that were read.</param>
    /// <returns>The parameters in float32, on the CPU.</returns>
    /// <exception cref="LmcException">
    /// Some tensors hold NaN, or numbers beyond float32, or are of a type that is not computed with; the first of them are named.
    /// </exception>
    public static ParameterSet Load(Placement placement, Action<long>? progress = null)
    {
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        var source = placement.Source;
        RequireComputed(placement);
        var model = ParameterSet.Zeros(placement.Network);
        try
        {
            var (broken, bytes) = (new List<string>(), 0L);
            foreach (var entry in source.Entries)
            {
                if (!placement.Places.TryGetValue(entry.Name, out var parameter)) continue;
                using var inner = NewDisposeScope();
                model.Views[parameter].copy_(source.Read(entry.Name).to(ScalarType.Float32));
                if (!model.Views[parameter].isfinite().all().item<bool>()) broken.Add(entry.Name);
                progress?.Invoke(bytes += entry.Type.BytesOf(entry.Count, source.Path));
            }

            Guard.Require(
                broken.Count == 0, $"{source.Path}: expected finite numbers, found NaN or infinity in {Excerpt.Of(broken)}");
            return model;
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <summary>Writes a model like the checkpoint that it came from.</summary>
    /// <param name="stream">Where to write.</param>
    /// <param name="model">The model.</param>
    /// <param name="like">The checkpoint.</param>
    /// <param name="names">The map by which it was read.</param>
    /// <exception cref="LmcException">The checkpoint is not of the model's architecture, or one of its types does not hold a number.</exception>
    public static void Save(Stream stream, ParameterSet model, TensorSource like, NameMap names) =>
        Save(stream, model, Placement.Of(like, model.Network, names));

    /// <summary>Writes a model like the checkpoint that it came from.</summary>
    /// <param name="stream">Where to write.</param>
    /// <param name="model">The model.</param>
    /// <param name="like">The checkpoint.</param>
    /// <param name="part">Of several files that hold the checkpoint (<see cref="TensorSource.Parts"/>), the one whose tensors are written; all in one where none is named.</param>
    /// <exception cref="LmcException">A type of the checkpoint does not hold a number of the model.</exception>
    public static void Save(Stream stream, ParameterSet model, Placement like, string? part = null) =>
        Write(stream, like, part, (entry, parameter) => Narrowing.To(entry, model.Views[parameter].cpu(), like.Source.Path));

    /// <summary>
    /// Writes a checkpoint with its units permuted: the stored numbers themselves move, so that each comes back bit for bit, only elsewhere,
    /// whatever its type.
    /// </summary>
    /// <param name="stream">Where to write.</param>
    /// <param name="permutations">The permutations.</param>
    /// <param name="placement">The checkpoint.</param>
    /// <param name="part">As for <see cref="Save(Stream, ParameterSet, Placement, string?)"/>.</param>
    public static void SavePermuted(Stream stream, PermutationSet permutations, Placement placement, string? part = null) =>
        Write(stream, placement, part, (entry, parameter) => Permuted(permutations, placement.Source.Read(entry.Name), parameter));

    /// <summary>
    /// Writes several checkpoints merged by a method, like the first. Each number is computed in double of the stored ones, and rounded once
    /// to the type of the first checkpoint.
    /// </summary>
    /// <param name="stream">Where to write.</param>
    /// <param name="models">The checkpoints of one network, each with the permutations that are applied to it first.</param>
    /// <param name="method">The method.</param>
    /// <param name="statistics">A model whose running statistics are written in the place of the mean ones; nothing to write those.</param>
    /// <param name="part">As for <see cref="Save(Stream, ParameterSet, Placement, string?)"/>.</param>
    /// <exception cref="LmcException">
    /// The method is not for these models, or a type of the first checkpoint does not hold a number; the line names file and tensor.
    /// </exception>
    public static void SaveMerged(
        Stream stream, IReadOnlyList<(Placement Placement, PermutationSet Permutations)> models, MergeMethod method, ParameterSet? statistics = null,
        string? part = null)
    {
        var first = models[0].Placement;
        method.Require(first.Network, models.Count);
        Write(stream, first, part, (entry, parameter) =>
        {
            if (statistics is not null && !first.Network.Parameters[parameter].Learned)
                return Narrowing.To(entry, statistics.Views[parameter].cpu(), first.Source.Path);
            var values = models.Select(model =>
                Permuted(model.Permutations, model.Placement.Source.Read(model.Placement.NameOf(parameter)), parameter).to(ScalarType.Float64));
            return Narrowing.To(entry, method.Of([.. values], first.Network, parameter), first.Source.Path);
        });
    }

    private static Tensor Permuted(PermutationSet permutations, Tensor stored, int parameter)
    {
        permutations.ApplyInPlace(stored, parameter);
        return stored;
    }

    private static void Write(Stream stream, Placement like, string? part, Func<TensorEntry, int, Tensor> parameter)
    {
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        var source = like.Source;
        if (source is Importing.OnnxSource graph)
        {
            graph.Write(stream, entry => parameter(entry, like.Places[entry.Name]));
            return;
        }

        var metadata = new Dictionary<string, string>(source.Metadata);
        metadata.TryAdd(FormatKey, "pt"); // some readers refuse files without it
        SafeTensors.Write(
            stream,
            [.. source.Entries.Where(entry => part is null || source.PartOf(entry.Name) == part).Select(entry => (entry, (Func<Tensor>)(() =>
                like.Places.TryGetValue(entry.Name, out var place) ? parameter(entry, place) : source.Read(entry.Name))))],
            metadata);
    }

    private static void RequireComputed(Placement placement)
    {
        foreach (var entry in placement.Source.Entries)
            Guard.Require(
                entry.Type.IsComputed || !placement.Places.ContainsKey(entry.Name),
                $"{placement.Source.Path}: tensor '{Excerpt.Of(entry.Name)}': expected numbers that are computed with (F64, F32, F16, BF16), found {entry.Type}: {(entry.Type.Name.StartsWith('F') ? "such numbers mostly have scales beside them, dequantise them first" : "convert them first")}");
    }
}
