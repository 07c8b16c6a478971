namespace LmcDsl.Core.Checkpoints;

/// <summary>
/// The few globals in PyTorch's pickles that have a meaning here: containers and tensors. Everything else stays an opaque value. Time is that
/// of the pickle's length: nothing is copied that a pickle can name again and again.
/// </summary>
internal sealed class TorchPickle
{
    private const int MostWrappers = 4;

    private readonly HashSet<object> taken = new(ReferenceEqualityComparer.Instance);

    /// <summary>The value of a global applied to arguments.</summary>
    /// <param name="global">The class or function that the pickle names.</param>
    /// <param name="arguments">What it is applied to.</param>
    /// <returns>A container, a tensor, or an opaque object.</returns>
    public object? Build(PickleGlobal global, object?[] arguments)
    {
        // Tensors with attributes or of a subclass: function, class, arguments, state.
        for (var k = 0; k < MostWrappers && global is { Module: "torch._tensor" or "torch", Name: "_rebuild_from_type_v2" }; k++)
        {
            if (arguments is not [PickleGlobal inner, _, object?[] own, ..]) break;
            (global, arguments) = (inner, own);
        }

        return (global.Module, global.Name) switch
        {
            ("collections", "OrderedDict" or "defaultdict") or ("builtins" or "__builtin__", "dict") => Dict(arguments),
            ("builtins" or "__builtin__", "set" or "frozenset") => new PickleSet(arguments is [IReadOnlyList<object?> items] ? items : []),
            // The third version has the type before what the others have last: marks of a view.
            ("torch._utils", "_rebuild_tensor_v3") when arguments.Length >= 4 =>
                new TorchTensor(arguments[0], arguments[1], arguments[2], arguments[3], arguments.ElementAtOrDefault(6), arguments.ElementAtOrDefault(7)),
            ("torch._utils", "_rebuild_tensor_v2" or "_rebuild_tensor") when arguments.Length >= 4 =>
                new TorchTensor(arguments[0], arguments[1], arguments[2], arguments[3], null, arguments.ElementAtOrDefault(6)),
            ("torch._utils", "_rebuild_parameter" or "_rebuild_parameter_with_state") when arguments.Length > 0 => arguments[0],
            _ => new PickleObject(global),
        };
    }

    // Python 2 gave an ordered dict's items as a list of pairs, each list once; a default dict's first argument is what makes its values.
    private PickleDict Dict(object?[] arguments)
    {
        var dict = new PickleDict();
        if (arguments is not [List<object?> pairs] || !taken.Add(pairs)) return dict;
        foreach (var pair in pairs)
        {
            var items = pair as IReadOnlyList<object?>; // a tuple or a list
            if (items?.Count == 2) dict.Set(items[0], items[1]);
        }

        return dict;
    }
}
