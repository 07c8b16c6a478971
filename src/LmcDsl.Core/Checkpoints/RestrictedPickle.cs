using System.Buffers.Binary;
using System.Text;
using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Checkpoints;

/// <summary>A global that a pickle names: never looked up, only compared with the few that are known.</summary>
/// <param name="Module">Its module.</param>
/// <param name="Name">Its name there.</param>
internal sealed record PickleGlobal(string Module, string Name);

/// <summary>What a pickle refers to outside of itself: of PyTorch's, the storage of a tensor.</summary>
/// <param name="Id">The reference.</param>
internal sealed record PickleReference(object? Id);

/// <summary>
/// Reads the part of Python's pickle format (protocols 2 to 4) that state dicts consist of: dicts, lists, tuples, texts, numbers,
/// tensors. A pickle is a program; this reader runs none. Every global that <paramref name="require"/> does not let pass is refused by
/// name, and so is every other operation.
/// </summary>
/// <param name="content">The pickle.</param>
/// <param name="name">The file's name, for messages.</param>
/// <param name="require">Throws where a global is not one of the known ones.</param>
/// <param name="build">Makes the value of a known global applied to arguments.</param>
internal sealed class RestrictedPickle(
    byte[] content, string name, Action<PickleGlobal> require, Func<PickleGlobal, object?[], object?> build)
{
    private static readonly object Mark = new();

    private readonly Stack<object?> stack = new();
    private readonly Dictionary<long, object?> memo = [];
    private int at;

    /// <summary>Reads the value.</summary>
    /// <returns>
    /// Dictionaries as <c>Dictionary&lt;object, object?&gt;</c>, lists as <c>List&lt;object?&gt;</c>, tuples as arrays, whole numbers as
    /// long, others as double.
    /// </returns>
    /// <exception cref="LmcException">Something is refused or not well formed; the line says what and where.</exception>
    public object? Read()
    {
        try
        {
            while (true)
            {
                var operation = Byte();
                if (operation == '.') return stack.Pop();
                Step(operation);
            }
        }
        catch (Exception error) when (error is InvalidOperationException or InvalidCastException or ArgumentException or OverflowException)
        {
            throw Malformed("operations that fit each other", error.Message.ReplaceLineEndings(" "));
        }
    }

    private void Step(byte operation)
    {
        switch (operation)
        {
            case 0x80: // PROTO
                var protocol = Byte();
                if (protocol is < 2 or > 5) throw Malformed("protocol 2 to 5", protocol.ToString());
                break;
            case 0x95: // FRAME
                Take(8);
                break;
            case (byte)'}': stack.Push(new Dictionary<object, object?>()); break;
            case (byte)']': stack.Push(new List<object?>()); break;
            case (byte)')': stack.Push(Array.Empty<object?>()); break;
            case (byte)'(': stack.Push(Mark); break;
            case (byte)'N': stack.Push(null); break;
            case 0x88: stack.Push(true); break;
            case 0x89: stack.Push(false); break;
            case (byte)'K': stack.Push((long)Byte()); break;
            case (byte)'M': stack.Push((long)BinaryPrimitives.ReadUInt16LittleEndian(Take(2))); break;
            case (byte)'J': stack.Push((long)BinaryPrimitives.ReadInt32LittleEndian(Take(4))); break;
            case 0x8a: stack.Push(LongInteger()); break;
            case (byte)'G': stack.Push(BinaryPrimitives.ReadDoubleBigEndian(Take(8))); break;
            case (byte)'X': stack.Push(Text(BinaryPrimitives.ReadUInt32LittleEndian(Take(4)))); break;
            case 0x8c: stack.Push(Text(Byte())); break;
            case (byte)'q': memo[Byte()] = stack.Peek(); break;
            case (byte)'r': memo[BinaryPrimitives.ReadUInt32LittleEndian(Take(4))] = stack.Peek(); break;
            case 0x94: memo[memo.Count] = stack.Peek(); break;
            case (byte)'h': stack.Push(Remembered(Byte())); break;
            case (byte)'j': stack.Push(Remembered(BinaryPrimitives.ReadUInt32LittleEndian(Take(4)))); break;
            case (byte)'t': stack.Push(ToMark()); break;
            case 0x85: stack.Push(Top(1)); break;
            case 0x86: stack.Push(Top(2)); break;
            case 0x87: stack.Push(Top(3)); break;
            case (byte)'a': Append([.. Top(1)]); break;
            case (byte)'e': Append(ToMark()); break;
            case (byte)'s': SetItems(Top(2)); break;
            case (byte)'u': SetItems(ToMark()); break;
            case (byte)'c': Global(Line(), Line()); break;
            case 0x93: // STACK_GLOBAL
                var names = Top(2);
                Global((string)names[0]!, (string)names[1]!);
                break;
            case (byte)'Q': stack.Push(new PickleReference(stack.Pop())); break;
            case (byte)'R': Apply(); break;
            case (byte)'b': stack.Pop(); break; // BUILD: the state of an ordered dict, which holds no tensors
            default: throw Malformed("an operation of dicts, tensors and numbers", $"0x{operation:x2}");
        }
    }

    private void Global(string module, string member)
    {
        var global = new PickleGlobal(module, member);
        require(global);
        stack.Push(global);
    }

    private void Apply()
    {
        var arguments = (object?[])stack.Pop()!;
        var global = (PickleGlobal)stack.Pop()!;
        stack.Push(build(global, arguments));
    }

    private void Append(object?[] items) => ((List<object?>)stack.Peek()!).AddRange(items);

    private void SetItems(object?[] items)
    {
        var target = (Dictionary<object, object?>)stack.Peek()!;
        if (items.Length % 2 != 0) throw Malformed("a value for each key", $"{items.Length} items");
        for (var k = 0; k < items.Length; k += 2) target[items[k] ?? "None"] = items[k + 1];
    }

    private object?[] ToMark()
    {
        var items = new List<object?>();
        while (true)
        {
            var item = stack.Pop();
            if (ReferenceEquals(item, Mark)) break;
            items.Add(item);
        }

        items.Reverse();
        return [.. items];
    }

    private object?[] Top(int count)
    {
        var items = new object?[count];
        for (var k = count - 1; k >= 0; k--) items[k] = stack.Pop();
        return items;
    }

    private object? Remembered(long index) =>
        memo.TryGetValue(index, out var value) ? value : throw Malformed("something remembered", $"number {index}");

    private long LongInteger()
    {
        var bytes = Take(Byte());
        if (bytes.Length > 8) throw Malformed("a whole number of 64 bits", $"{bytes.Length} bytes");
        var value = 0L;
        for (var k = 0; k < bytes.Length; k++) value |= (long)bytes[k] << (8 * k);
        var unused = 64 - 8 * bytes.Length;
        return bytes.Length is 0 or 8 ? value : value << unused >> unused; // the sign is in the last byte
    }

    private string Text(long length) => Encoding.UTF8.GetString(Take(length));

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
        if (count > content.Length - at) throw Malformed($"{count} more bytes", "the pickle's end");
        var span = content.AsSpan(at, (int)count);
        at += (int)count;
        return span;
    }

    private LmcException Malformed(string expected, string found) =>
        new($"{name}: pickle, byte {at}: expected {expected}, found {found}");
}
