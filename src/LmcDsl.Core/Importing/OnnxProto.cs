using Google.Protobuf;

namespace LmcDsl.Core.Importing;

/// <summary>A graph's input or output, with its shape, -1 where a size is not said, and ONNX's number of its type.</summary>
internal sealed record OnnxValue(string Name, List<long> Shape, bool HasShape, long Type)
{
    public static OnnxValue Read(CodedInputStream input)
    {
        var (name, shape, known, number) = ("", new List<long>(), false, 0L);
        OnnxProto.Fields(input, (field, type) =>
        {
            if (type != OnnxProto.Bytes) return false;
            if (field == 1) name = input.ReadString();
            else if (field == 2) (known, number) = ReadType(input.ReadBytes(), shape);
            else return false;
            return true;
        });
        return new OnnxValue(name, shape, known, number);
    }

    private static (bool HasShape, long Type) ReadType(ByteString type, List<long> into)
    {
        var (known, number) = (false, 0L);
        foreach (var tensor in OnnxProto.Messages(type.CreateCodedInput(), 1))
            OnnxProto.Fields(tensor, (field, kind) =>
            {
                if (field != 1 || kind != OnnxProto.Varint) return false;
                number = tensor.ReadInt64();
                return true;
            });
        foreach (var tensor in OnnxProto.Messages(type.CreateCodedInput(), 1))
            foreach (var shape in OnnxProto.Messages(tensor, 2))
            {
                known = true;
                foreach (var dimension in OnnxProto.Messages(shape, 1))
                {
                    var size = -1L;
                    OnnxProto.Fields(dimension, (field, kind) =>
                    {
                        if (field != 1 || kind != OnnxProto.Varint) return false;
                        size = dimension.ReadInt64();
                        return true;
                    });
                    into.Add(size);
                }
            }

        return (known, number);
    }
}

/// <summary>A function that a model defines of other operators.</summary>
internal sealed class OnnxFunction
{
    public string Name { get; private set; } = "";

    public string Domain { get; private set; } = "";

    public List<string> Inputs { get; } = [];

    public List<string> Outputs { get; } = [];

    public List<OnnxNode> Nodes { get; } = [];

    /// <summary>Attributes that have a value where none is given.</summary>
    public List<OnnxAttribute> Defaults { get; } = [];

    public static OnnxFunction Read(CodedInputStream input)
    {
        var result = new OnnxFunction();
        OnnxProto.Fields(input, (field, type) =>
        {
            if (type != OnnxProto.Bytes) return false;
            switch (field)
            {
                case 1: result.Name = input.ReadString(); break;
                case 4: result.Inputs.Add(input.ReadString()); break;
                case 5: result.Outputs.Add(input.ReadString()); break;
                case 7: result.Nodes.Add(OnnxNode.Read(input.ReadBytes().CreateCodedInput())); break;
                case 10: result.Domain = input.ReadString(); break;
                case 11: result.Defaults.Add(OnnxAttribute.Read(input.ReadBytes().CreateCodedInput())); break;
                default: return false;
            }

            return true;
        });
        return result;
    }
}

/// <summary>A model: one graph, and the version of the standard operators that it is written in.</summary>
internal sealed class OnnxProto
{
    /// <summary>How numbers are written: the wire types of protobuf.</summary>
    public const uint Varint = 0, Fixed64 = 1, Bytes = 2, Fixed32 = 5;

    public List<OnnxNode> Nodes { get; } = [];

    public List<OnnxTensor> Initializers { get; } = [];

    public List<OnnxValue> Inputs { get; } = [];

    public List<OnnxValue> Outputs { get; } = [];

    /// <summary>Values within the graph whose shapes are told.</summary>
    public List<OnnxValue> Values { get; } = [];

    public List<OnnxFunction> Functions { get; } = [];

    public long Version { get; private set; }

    public static OnnxProto Read(Stream stream)
    {
        var result = new OnnxProto();
        using var input = new CodedInputStream(stream, leaveOpen: true);
        Fields(input, (field, type) =>
        {
            if (type != Bytes) return false;
            if (field == 7) result.ReadInto(input.ReadBytes().CreateCodedInput());
            else if (field == 25) result.Functions.Add(OnnxFunction.Read(input.ReadBytes().CreateCodedInput()));
            else if (field == 8) result.ReadVersion(input.ReadBytes().CreateCodedInput());
            else return false;
            return true;
        });
        return result;
    }

    /// <summary>Visits a message's fields; what the visitor does not read is passed over.</summary>
    public static void Fields(CodedInputStream input, Func<int, uint, bool> visit)
    {
        while (input.ReadTag() is var tag and not 0)
            if (!visit((int)(tag >> 3), tag & 7)) input.SkipLastField();
    }

    /// <summary>The messages of one number within a message.</summary>
    public static List<CodedInputStream> Messages(CodedInputStream input, int number)
    {
        var found = new List<CodedInputStream>();
        Fields(input, (field, type) =>
        {
            if (field != number || type != Bytes) return false;
            found.Add(input.ReadBytes().CreateCodedInput());
            return true;
        });
        return found;
    }

    /// <summary>Reads whole numbers, packed or one at a time.</summary>
    public static void Integers(CodedInputStream input, uint type, List<long> into)
    {
        if (type != Bytes) into.Add(input.ReadInt64());
        else
            for (var packed = input.ReadBytes().CreateCodedInput(); !packed.IsAtEnd;) into.Add(packed.ReadInt64());
    }

    /// <summary>Reads single precision numbers, packed or one at a time.</summary>
    public static void Floats(CodedInputStream input, uint type, List<float> into)
    {
        if (type != Bytes) into.Add(input.ReadFloat());
        else
            for (var packed = input.ReadBytes().CreateCodedInput(); !packed.IsAtEnd;) into.Add(packed.ReadFloat());
    }

    /// <summary>Reads packed double precision numbers.</summary>
    public static void Doubles(ByteString packed, List<double> into)
    {
        for (var input = packed.CreateCodedInput(); !input.IsAtEnd;) into.Add(input.ReadDouble());
    }

    /// <summary>Reads a graph by itself, as a branch of another one.</summary>
    public static OnnxProto ReadGraph(ByteString bytes)
    {
        var result = new OnnxProto();
        result.ReadInto(bytes.CreateCodedInput());
        return result;
    }

    private void ReadInto(CodedInputStream input) => Fields(input, (field, type) =>
    {
        if (type != Bytes) return false;
        switch (field)
        {
            case 1: Nodes.Add(OnnxNode.Read(input.ReadBytes().CreateCodedInput())); break;
            case 5: Initializers.Add(OnnxTensor.Read(input.ReadBytes().CreateCodedInput())); break;
            case 11: Inputs.Add(OnnxValue.Read(input.ReadBytes().CreateCodedInput())); break;
            case 12: Outputs.Add(OnnxValue.Read(input.ReadBytes().CreateCodedInput())); break;
            case 13: Values.Add(OnnxValue.Read(input.ReadBytes().CreateCodedInput())); break;
            default: return false;
        }

        return true;
    });

    private void ReadVersion(CodedInputStream input)
    {
        var (domain, version) = ("", 0L);
        Fields(input, (field, type) =>
        {
            if (field == 1 && type == Bytes) domain = input.ReadString();
            else if (field == 2 && type == Varint) version = input.ReadInt64();
            else return false;
            return true;
        });
        if (domain is "" or "ai.onnx") Version = version;
    }
}
