using System.Globalization;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Importing;

/// <summary>A node of a graph as a rule sees it: its inputs, its attributes, and where it writes layers.</summary>
/// <param name="node">The node.</param>
/// <param name="graph">Where layers are written.</param>
/// <param name="inputs">Its inputs; null where one is left out.</param>
/// <param name="version">The version of the standard operators.</param>
internal sealed class GraphNode(OnnxNode node, GraphBuilder graph, GraphValue?[] inputs, long version)
{
    public GraphBuilder Graph => graph;

    public GraphValue?[] Inputs => inputs;

    public OnnxNode Proto => node;

    public long Version => version;

    public int Outputs => node.Outputs.Count;

    /// <summary>An input that must be there.</summary>
    /// <exception cref="LmcException">It is not.</exception>
    public GraphValue In(int k) => Optional(k) ?? throw Refuse($"an input {k}", "none");

    /// <summary>An input that may be left out.</summary>
    public GraphValue? Optional(int k) => k < inputs.Length ? inputs[k] : null;

    /// <summary>Whether an output is asked for.</summary>
    public bool Gives(int k) => k < node.Outputs.Count && node.Outputs[k].Length > 0;

    public bool Has(string attribute) => node.Attributes.ContainsKey(attribute);

    public long Int(string name, long otherwise) => node.Int(name, otherwise);

    /// <summary>By its shortest decimals: 1e-5 in single precision is meant as 1e-5.</summary>
    public double Float(string name, float otherwise) => Meant(node.Attributes.TryGetValue(name, out var given) ? given.Float : otherwise);

    /// <summary>The number whose shortest decimals one in single precision has.</summary>
    public static double Meant(float value) => double.Parse(value.ToString("R", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);

    public string Text(string name, string otherwise) => node.Attributes.TryGetValue(name, out var given) ? given.Text : otherwise;

    public long[]? Ints(string name) => node.Attributes.TryGetValue(name, out var given) ? [.. given.Ints] : null;

    /// <summary>An attribute of older versions that newer ones have as an input.</summary>
    public long[]? Ints(string name, int input) => Ints(name) ?? (Optional(input) is null ? null : Whole(input));

    /// <summary>The whole numbers of a constant input.</summary>
    /// <exception cref="LmcException">It is not constant.</exception>
    public long[] Whole(int k) => graph.Whole(In(k)) ?? throw Refuse($"a constant as input {k}", "one that is computed; export with fixed sizes");

    /// <summary>The number of a constant input.</summary>
    public double? Number(int k) => Optional(k) is { } value ? graph.Number(value) ?? throw Refuse($"a constant as input {k}", "one that is computed") : null;

    /// <summary>An axis counted from the end where it is below 0.</summary>
    public int Axis(long axis, int rank) => axis >= -rank && axis < rank
        ? (int)(axis < 0 ? axis + rank : axis)
        : throw Refuse($"an axis of {rank}", axis.ToString(CultureInfo.InvariantCulture));

    public int Size(long value) => value is >= 0 and <= int.MaxValue
        ? (int)value
        : throw Refuse($"sizes of 0 to {int.MaxValue}", value.ToString(CultureInfo.InvariantCulture));

    public RefusedException Refuse(string expected, string found) => new($"{node.Place}: expected {expected}, found {found}");

    public void Require(bool condition, string expected, string found)
    {
        if (!condition) throw Refuse(expected, found);
    }

    /// <summary>Writes a layer named after the node.</summary>
    public GraphValue Emit(Layer layer, bool lead, params GraphValue[] of) => graph.Emit(node, layer, lead, of);
}

/// <summary>An operator, or something that it is asked to do, has no rule.</summary>
internal sealed class RefusedException(string message) : Exception(message);
