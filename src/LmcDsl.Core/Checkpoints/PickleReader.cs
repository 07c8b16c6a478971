using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Checkpoints;

/// <summary>
/// Reads Python's pickle format, protocols 0 to 5. A pickle is a program; this reader runs none: globals are not looked up, objects not
/// made, functions not called. What is not known stays an opaque value (<see cref="PickleObject"/>). It works in one pass over a stack of
/// its own, whatever the pickle nests, and its time and memory grow with the pickle's length alone.
/// </summary>
/// <param name="content">The pickle.</param>
/// <param name="name">The file's name, for messages.</param>
/// <param name="build">Makes the value of a global applied to arguments.</param>
internal sealed class PickleReader(byte[] content, string name, Func<PickleGlobal, object?[], object?> build)
{
    private readonly List<object?> stack = [];
    private readonly Stack<int> marks = new();
    private readonly Dictionary<long, object?> memo = [];
    private int at;

    /// <summary>Reads the value.</summary>
    /// <returns>The value; see <see cref="PickleValue"/> for how each kind is held.</returns>
    /// <exception cref="LmcException">The pickle is not well formed; the line says what was expected and where.</exception>
    public object? Read()
    {
        while (true)
        {
            var operation = Byte();
            if (operation == '.') return Pop();
            if (!Constant(operation) && !Container(operation) && !Remember(operation) && !Object(operation))
                throw Malformed("an operation of a pickle", $"0x{operation:x2}");
        }
    }

    // None, truth values, numbers, texts and bytes.
    private bool Constant(byte operation)
    {
        switch (operation)
        {
            case (byte)'N': Push(null); break;
            case 0x88: Push(true); break;
            case 0x89: Push(false); break;
            case (byte)'K': Push((long)Byte()); break;
            case (byte)'M': Push((long)BinaryPrimitives.ReadUInt16LittleEndian(Take(2))); break;
            case (byte)'J': Push((long)BinaryPrimitives.ReadInt32LittleEndian(Take(4))); break;
            case (byte)'I': Push(Whole(Line())); break;
            case (byte)'L': Push(Whole(Line().TrimEnd('L'))); break;
            case 0x8a: Push(LongInteger(Take(Byte()))); break;
            case 0x8b: Push(LongInteger(Take(BinaryPrimitives.ReadInt32LittleEndian(Take(4))))); break;
            case (byte)'F': Push(double.TryParse(Line(), CultureInfo.InvariantCulture, out var number) ? number : throw Malformed("a number", "another text")); break;
            case (byte)'G': Push(BinaryPrimitives.ReadDoubleBigEndian(Take(8))); break;
            case (byte)'S': Push(Line().Trim('\'', '"')); break;
            case (byte)'V': Push(Line()); break;
            case (byte)'U': Push(Encoding.Latin1.GetString(Take(Byte()))); break;
            case (byte)'T': Push(Encoding.Latin1.GetString(Take(BinaryPrimitives.ReadInt32LittleEndian(Take(4))))); break;
            case (byte)'X': Push(Text(BinaryPrimitives.ReadUInt32LittleEndian(Take(4)))); break;
            case 0x8c: Push(Text(Byte())); break;
            case 0x8d: Push(Text(Length64())); break;
            case (byte)'C': Push(Take(Byte()).ToArray()); break;
            case (byte)'B': Push(Take(BinaryPrimitives.ReadUInt32LittleEndian(Take(4))).ToArray()); break;
            case 0x8e or 0x96: Push(Take(Length64()).ToArray()); break;
            default: return false;
        }

        return true;
    }

    // Dicts, lists, tuples, sets.
    private bool Container(byte operation)
    {
        switch (operation)
        {
            case (byte)'(': marks.Push(stack.Count); break;
            case (byte)'}': Push(new PickleDict()); break;
            case (byte)'d':
                var pairs = ToMark();
                Push(new PickleDict());
                SetItems(pairs);
                break;
            case (byte)']': Push(new List<object?>()); break;
            case (byte)'l': Push(new List<object?>(ToMark())); break;
            case (byte)')': Push(Array.Empty<object?>()); break;
            case (byte)'t': Push(ToMark()); break;
            case 0x85: Push(Top(1)); break;
            case 0x86: Push(Top(2)); break;
            case 0x87: Push(Top(3)); break;
            case 0x8f: Push(new PickleSet([])); break;
            case 0x91: Push(new PickleSet(ToMark())); break;
            case (byte)'a': Append(Top(1)); break;
            case (byte)'e' or 0x90: Append(ToMark()); break;
            case (byte)'s': SetItems(Top(2)); break;
            case (byte)'u': SetItems(ToMark()); break;
            default: return false;
        }

        return true;
    }

    // The memo, the stack, and what frames a pickle.
    private bool Remember(byte operation)
    {
        switch (operation)
        {
            case 0x80: // PROTO
                var protocol = Byte();
                if (protocol > 5) throw Malformed("protocol 0 to 5", protocol.ToString(CultureInfo.InvariantCulture));
                break;
            case 0x95: Take(8); break; // FRAME
            case 0x98: break; // READONLY_BUFFER
            case (byte)'q': memo[Byte()] = Peek(); break;
            case (byte)'r': memo[BinaryPrimitives.ReadUInt32LittleEndian(Take(4))] = Peek(); break;
            case (byte)'p': memo[Index()] = Peek(); break;
            case 0x94: memo[memo.Count] = Peek(); break;
            case (byte)'h': Push(Remembered(Byte())); break;
            case (byte)'j': Push(Remembered(BinaryPrimitives.ReadUInt32LittleEndian(Take(4)))); break;
            case (byte)'g': Push(Remembered(Index())); break;
            case (byte)'2': Push(Peek()); break;
            case (byte)'1': ToMark(); break;
            case (byte)'0':
                if (marks.Count > 0 && marks.Peek() == stack.Count) marks.Pop();
                else Pop();
                break;
            default: return false;
        }

        return true;
    }

    // Globals, what is made by them, and what is set on it.
    private bool Object(byte operation)
    {
        switch (operation)
        {
            case (byte)'c': Push(new PickleGlobal(Line(), Line())); break;
            case 0x93: // STACK_GLOBAL
                var names = Top(2);
                Push(names is [string module, string member] ? new PickleGlobal(module, member) : throw Malformed("a global's module and name", "other values"));
                break;
            case (byte)'Q': Push(new PickleReference(Pop())); break;
            case (byte)'P': Push(new PickleReference(Line())); break;
            case (byte)'R' or 0x81: // REDUCE, NEWOBJ
                var made = Top(2);
                Push(Make(made[0], made[1]));
                break;
            case 0x92: // NEWOBJ_EX: class, arguments, named arguments
                var extended = Top(3);
                Push(Make(extended[0], extended[1]));
                break;
            case (byte)'i': // INST
                var (place, type) = (Line(), Line());
                Push(Make(new PickleGlobal(place, type), ToMark()));
                break;
            case (byte)'o': // OBJ
                var parts = ToMark();
                if (parts.Length == 0) throw Malformed("a class", "nothing");
                Push(Make(parts[0], parts[1..]));
                break;
            case (byte)'b': // BUILD: of a dict the attributes, which hold no tensors
                var state = Pop();
                if (Peek() is PickleObject target) target.State = state;
                break;
            default: return false;
        }

        return true;
    }

    private object? Make(object? maker, object? arguments) =>
        maker is PickleGlobal global ? build(global, arguments as object?[] ?? [arguments]) : new PickleObject(maker);

    private void Append(object?[] items)
    {
        switch (Peek())
        {
            case List<object?> list: list.AddRange(items); break;
            case PickleSet set: set.Add(items); break;
            case PickleObject: break; // elements of an opaque list
            default: throw Malformed("a list or a set to add to", PickleValue.Describe(Peek()));
        }
    }

    private void SetItems(object?[] items)
    {
        if (items.Length % 2 != 0) throw Malformed("a value for each key", $"{items.Length} items");
        var target = Peek() switch
        {
            PickleDict dict => dict,
            PickleObject opaque => opaque.Items,
            var other => throw Malformed("a dict to set items of", PickleValue.Describe(other)),
        };
        for (var k = 0; k < items.Length; k += 2) target.Set(items[k], items[k + 1]);
    }

    private void Push(object? value) => stack.Add(value);

    private object? Peek() => stack.Count > Floor ? stack[^1] : throw Malformed("a value", "none");

    private object? Pop()
    {
        var value = Peek();
        stack.RemoveAt(stack.Count - 1);
        return value;
    }

    // What lies under the last mark is out of reach.
    private int Floor => marks.Count > 0 ? marks.Peek() : 0;

    private object?[] Top(int count)
    {
        if (stack.Count - Floor < count) throw Malformed($"{count} values", $"{stack.Count - Floor}");
        return TakeFrom(stack.Count - count);
    }

    private object?[] ToMark() => marks.Count > 0 ? TakeFrom(marks.Pop()) : throw Malformed("a mark", "none");

    private object?[] TakeFrom(int start)
    {
        var items = new object?[stack.Count - start];
        stack.CopyTo(start, items, 0, items.Length);
        stack.RemoveRange(start, items.Length);
        return items;
    }

    private object? Remembered(long index) =>
        memo.TryGetValue(index, out var value) ? value : throw Malformed("something remembered", $"number {index}");

    private long Index() =>
        long.TryParse(Line(), NumberStyles.None, CultureInfo.InvariantCulture, out var index) ? index : throw Malformed("a number of the memo", "another text");

    // Whole numbers beyond 64 bits, and truth values of protocol 0.
    private static object Whole(string text) => text switch
    {
        "00" => false,
        "01" => true,
        _ when long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) => number,
        _ => new PickleObject(null),
    };

    private static object LongInteger(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length > 8) return new PickleObject(null);
        var value = 0L;
        for (var k = 0; k < bytes.Length; k++) value |= (long)bytes[k] << (8 * k);
        var unused = 64 - 8 * bytes.Length;
        return bytes.Length is 0 or 8 ? value : value << unused >> unused; // the sign is in the last byte
    }

    private string Text(long length) => Encoding.UTF8.GetString(Take(length));

    private long Length64()
    {
        var length = BinaryPrimitives.ReadUInt64LittleEndian(Take(8));
        return length <= int.MaxValue ? (long)length : throw Malformed("a length within the pickle", $"{length}");
    }

    private string Line()
    {
        var length = content.AsSpan(at).IndexOf((byte)'\n');
        if (length < 0) throw Malformed("the end of a line", "the file's end");
        var text = Encoding.UTF8.GetString(content, at, length);
        at += length + 1;
        return text;
    }

    private byte Byte() => Take(1)[0];

    private ReadOnlySpan<byte> Take(long count)
    {
        if (count < 0 || count > content.Length - at) throw Malformed($"{count} more bytes", "the pickle's end");
        var span = content.AsSpan(at, (int)count);
        at += (int)count;
        return span;
    }

    private LmcException Malformed(string expected, string found) => new($"{name}: pickle, byte {at}: expected {expected}, found {found}");
}
