using System.Collections.Immutable;
using System.Text.Json;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Runtime;
using LmcDsl.Core.Training;
using static TorchSharp.torch;

namespace LmcDsl.Core.Checkpoints;

/// <summary>
/// Models and training states as safetensors: one tensor for each parameter under its own name, and the architecture as
/// JSON in the metadata, so that a file says by itself what it is.
/// </summary>
public static class ModelFile
{
    private const string ArchitectureKey = "architecture";
    private const string EpochKey = "epoch";
    private const string CurveKey = "curve";
    private const string FirstMoment = "optimizer.first";
    private const string SecondMoment = "optimizer.second";

    /// <summary>Writes a model.</summary>
    /// <param name="stream">Where to write.</param>
    /// <param name="model">The model.</param>
    public static void Write(Stream stream, ParameterSet model) => SafeTensors.Write(stream, Tensors(model), Metadata(model));

    /// <summary>Reads a model.</summary>
    /// <param name="content">The whole file.</param>
    /// <param name="name">Its name, for messages.</param>
    /// <returns>The model, on the CPU.</returns>
    /// <exception cref="LmcException">The file is damaged, or does not hold what its architecture asks for.</exception>
    public static ParameterSet Read(ReadOnlySpan<byte> content, string name)
    {
        using var file = SafeTensors.Read(content, name);
        return Model(file, name);
    }

    /// <summary>Writes where a training stands.</summary>
    /// <param name="stream">Where to write.</param>
    /// <param name="state">The state.</param>
    public static void Write(Stream stream, TrainingState state)
    {
        var metadata = Metadata(state.Parameters);
        metadata[EpochKey] = state.Epoch.ToString();
        metadata[CurveKey] = JsonSerializer.Serialize(state.Curve);
        SafeTensors.Write(
            stream, [.. Tensors(state.Parameters), (FirstMoment, state.First), (SecondMoment, state.Second)], metadata);
    }

    /// <summary>Reads where a training stood.</summary>
    /// <param name="content">The whole file.</param>
    /// <param name="name">Its name, for messages.</param>
    /// <param name="device">Where to go on.</param>
    /// <returns>The state.</returns>
    /// <exception cref="LmcException">The file is damaged, or not a training's.</exception>
    public static TrainingState ReadState(ReadOnlySpan<byte> content, string name, Device device)
    {
        using var file = SafeTensors.Read(content, name);
        using var scope = NewDisposeScope();
        using var model = Model(file, name);
        Guard.Require(
            file.Metadata.TryGetValue(EpochKey, out var text) & int.TryParse(text, out var epoch),
            $"{name}: expected the epoch of a training in the metadata, found '{text}'");
        return new TrainingState(model.To(device), Moment(FirstMoment), Moment(SecondMoment), epoch) { Curve = Curve() };

        ImmutableArray<EpochScore> Curve()
        {
            try
            {
                return file.Metadata.TryGetValue(CurveKey, out var json) ? JsonSerializer.Deserialize<ImmutableArray<EpochScore>>(json) : [];
            }
            catch (JsonException error)
            {
                throw new LmcException($"{name}: expected the training's curve in the metadata, found something else", error);
            }
        }

        Tensor Moment(string key)
        {
            Guard.Require(file.Tensors.ContainsKey(key), $"{name}: expected tensor '{key}', found none of that name");
            Guard.Shape($"{name}: {key}", file.Tensors[key], model.Network.LearnedCount);
            return file.Tensors[key].to(device, copy: true).DetachFromDisposeScope();
        }
    }

    private static ParameterSet Model(TensorFile file, string name)
    {
        Guard.Require(
            file.Metadata.ContainsKey(ArchitectureKey), $"{name}: expected the architecture in the metadata, found none");
        var network = new Network(Architecture.FromJson(file.Metadata[ArchitectureKey]));
        using var scope = NewDisposeScope();
        var model = ParameterSet.Zeros(network);
        foreach (var (spec, view) in network.Parameters.Zip(model.Views))
        {
            Guard.Require(file.Tensors.ContainsKey(spec.Name), $"{name}: expected tensor '{spec.Name}', found none of that name");
            Guard.Shape($"{name}: {spec.Name}", file.Tensors[spec.Name], spec.Shape);
            view.copy_(file.Tensors[spec.Name]);
        }

        return model;
    }

    private static (string, Tensor)[] Tensors(ParameterSet model) =>
        [.. model.Network.Parameters.Zip(model.Views, (spec, view) => (spec.Name, view))];

    private static Dictionary<string, string> Metadata(ParameterSet model) =>
        new() { [ArchitectureKey] = model.Network.Architecture.ToJson() };
}
