using System.Text;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Checkpoints;

/// <summary>Models of a known architecture out of anybody's checkpoints, and back under the names and types that they had there.</summary>
public static class Checkpoint
{
    /// <summary>Reads a model.</summary>
    /// <param name="source">The open checkpoint.</param>
    /// <param name="network">What it is a model of.</param>
    /// <param name="names">How its names become the architecture's.</param>
    /// <returns>The parameters in float32, on the CPU.</returns>
    /// <exception cref="LmcException">
    /// Tensors are missing, unexpected or of another shape: all of them are told at once; or some hold NaN, or numbers beyond float32.
    /// Counters of batches that are no parameters are passed over.
    /// </exception>
    public static ParameterSet Load(TensorSource source, Network network, NameMap names)
    {
        var places = Places(source, network, names);
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        var model = new ParameterSet(network, zeros(network.TotalCount));
        var broken = new List<string>();
        foreach (var (entry, parameter) in places)
        {
            using var inner = NewDisposeScope();
            model.Views[parameter].copy_(source.Read(entry.Name).to(ScalarType.Float32));
            if (!model.Views[parameter].isfinite().all().item<bool>()) broken.Add(entry.Name);
        }

        if (broken.Count == 0) return model;
        model.Dispose();
        throw new LmcException($"{source.Path}: expected finite numbers, found NaN or infinity in {string.Join(", ", broken)}");
    }

    /// <summary>Writes a model as safetensors with the names, order, types and text of the checkpoint that it came from.</summary>
    /// <param name="stream">Where to write.</param>
    /// <param name="model">The model.</param>
    /// <param name="like">The checkpoint; what is no parameter there is copied.</param>
    /// <param name="names">The map by which it was read.</param>
    /// <exception cref="LmcException">The checkpoint is not of the model's architecture.</exception>
    public static void Save(Stream stream, ParameterSet model, TensorSource like, NameMap names)
    {
        var places = Places(like, model.Network, names).ToDictionary(place => place.Entry.Name, place => place.Parameter);
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        var tensors = like.Entries.Select(entry => (entry.Name, places.TryGetValue(entry.Name, out var parameter)
            ? model.Views[parameter].cpu().to(entry.Type)
            : like.Read(entry.Name)));
        SafeTensors.Write(stream, [.. tensors], like.Metadata);
    }

    // Which parameter each of the checkpoint's tensors is.
    private static (TensorEntry Entry, int Parameter)[] Places(TensorSource source, Network network, NameMap names)
    {
        var wanted = network.Parameters.Select((spec, k) => (spec.Name, k)).ToDictionary(p => p.Name, p => p.k);
        var found = new Dictionary<int, TensorEntry>();
        StringBuilder unexpected = new(), shapes = new();
        foreach (var entry in source.Entries)
        {
            // Counters of batches are wanted by norms that average over all batches; others have no use for them.
            if (entry.Name.EndsWith(".num_batches_tracked", StringComparison.Ordinal) && !wanted.ContainsKey(names.Apply(entry.Name))) continue;
            if (!wanted.TryGetValue(names.Apply(entry.Name), out var parameter) || !found.TryAdd(parameter, entry))
                unexpected.Append($" {entry.Name} {Guard.Show(entry.Shape.AsSpan())}");
            else if (!entry.Shape.AsSpan().SequenceEqual(network.Parameters[parameter].Shape))
                shapes.Append($" {entry.Name} {Guard.Show(entry.Shape.AsSpan())} where {network.Parameters[parameter]} was expected;");
        }

        var missing = string.Join(" ", network.Parameters.Where((_, k) => !found.ContainsKey(k)));
        Guard.Require(
            missing.Length == 0 && unexpected.Length == 0 && shapes.Length == 0,
            $"{source.Path}: expected the tensors of '{network.Architecture.Name}';{Part("missing", missing)}{Part("not expected", unexpected)}{Part("of another shape", shapes)}");
        return [.. found.Select(place => (place.Value, place.Key))];

        static string Part(string what, object items) => items.ToString() is { Length: > 0 } text ? $" {what}: {text.Trim().TrimEnd(';')}." : "";
    }
}
