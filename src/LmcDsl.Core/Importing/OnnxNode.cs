using Google.Protobuf;

namespace LmcDsl.Core.Importing;

/// <summary>An operator's attribute: the one value that it has.</summary>
internal sealed class OnnxAttribute
{
    public string Name { get; private set; } = "";

    public float Float { get; private set; }

    public long Int { get; private set; }

    public string Text { get; private set; } = "";

    public OnnxTensor? Tensor { get; private set; }

    /// <summary>The name of a function's attribute whose value this one has.</summary>
    public string Reference { get; private set; } = "";

    public OnnxProto? Graph { get; private set; }

    public List<string> Texts { get; } = [];

    public List<float> Floats { get; } = [];

    public List<long> Ints { get; } = [];

    /// <summary>An attribute of whole numbers.</summary>
    public static OnnxAttribute Of(string name, params long[] values)
    {
        var result = new OnnxAttribute { Name = name, Int = values.Length == 1 ? values[0] : 0 };
        result.Ints.AddRange(values);
        return result;
    }

    /// <summary>An attribute of one number.</summary>
    public static OnnxAttribute OfNumber(string name, double value) => new() { Name = name, Float = (float)value };

    public static OnnxAttribute Read(CodedInputStream input)
    {
        var result = new OnnxAttribute();
        OnnxProto.Fields(input, (field, type) =>
        {
            switch (field, type)
            {
                case (1, OnnxProto.Bytes): result.Name = input.ReadString(); break;
                case (2, OnnxProto.Fixed32): result.Float = input.ReadFloat(); break;
                case (3, OnnxProto.Varint): result.Int = input.ReadInt64(); break;
                case (4, OnnxProto.Bytes): result.Text = input.ReadBytes().ToStringUtf8(); break;
                case (5, OnnxProto.Bytes): result.Tensor = OnnxTensor.Read(input.ReadBytes().CreateCodedInput()); break;
                case (6, OnnxProto.Bytes): result.Graph = OnnxProto.ReadGraph(input.ReadBytes()); break;
                case (9, OnnxProto.Bytes): result.Texts.Add(input.ReadBytes().ToStringUtf8()); break;
                case (21, OnnxProto.Bytes): result.Reference = input.ReadString(); break;
                case (7, _): OnnxProto.Floats(input, type, result.Floats); break;
                case (8, _): OnnxProto.Integers(input, type, result.Ints); break;
                default: return false;
            }

            return true;
        });
        return result;
    }
}

/// <summary>A node of a graph.</summary>
internal sealed class OnnxNode
{
    public List<string> Inputs { get; private init; } = [];

    public List<string> Outputs { get; private init; } = [];

    public string Name { get; private set; } = "";

    public string Operator { get; private set; } = "";

    public string Domain { get; private set; } = "";

    public Dictionary<string, OnnxAttribute> Attributes { get; private init; } = [];

    /// <summary>What messages call it.</summary>
    public string Place => $"node '{(Name.Length > 0 ? Name : Outputs.FirstOrDefault())}' ({Operator})";

    /// <summary>Whether it gives what it reads back under another name.</summary>
    public bool IsIdentity => Operator == "Identity" && Inputs.Count == 1 && Outputs.Count == 1;

    /// <summary>A node that no file holds.</summary>
    public static OnnxNode Of(string operation, IEnumerable<string> inputs, string output, params OnnxAttribute[] attributes) => new()
    {
        Operator = operation,
        Inputs = [.. inputs],
        Outputs = [output],
        Attributes = attributes.ToDictionary(attribute => attribute.Name),
    };

    /// <summary>An attribute that is a whole number, or what it is where none is given.</summary>
    public long Int(string name, long otherwise) => Attributes.TryGetValue(name, out var given) ? given.Int : otherwise;

    /// <summary>The same node under other names of values.</summary>
    public OnnxNode Renamed(string name, Func<string, string> values, Dictionary<string, OnnxAttribute> attributes) => new()
    {
        Name = name,
        Operator = Operator,
        Domain = Domain,
        Inputs = [.. Inputs.Select(values)],
        Outputs = [.. Outputs.Select(values)],
        Attributes = attributes,
    };

    public static OnnxNode Read(CodedInputStream input)
    {
        var result = new OnnxNode();
        OnnxProto.Fields(input, (field, type) =>
        {
            if (type != OnnxProto.Bytes) return false;
            switch (field)
            {
                case 1: result.Inputs.Add(input.ReadString()); break;
                case 2: result.Outputs.Add(input.ReadString()); break;
                case 3: result.Name = input.ReadString(); break;
                case 4: result.Operator = input.ReadString(); break;
                case 5:
                    var attribute = OnnxAttribute.Read(input.ReadBytes().CreateCodedInput());
                    result.Attributes[attribute.Name] = attribute;
                    break;
                case 7: result.Domain = input.ReadString(); break;
                default: return false;
            }

            return true;
        });
        return result;
    }
}
