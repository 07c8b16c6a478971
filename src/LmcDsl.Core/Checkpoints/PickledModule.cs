using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Checkpoints;

/// <summary>
/// A module that <c>torch.save(model)</c> pickled whole: its parameters and buffers under the names that <c>model.state_dict()</c> would give
/// them. Its class is not needed and not looked for: every <c>nn.Module</c> keeps its tensors in the same three dicts.
/// </summary>
internal static class PickledModule
{
    private const int LongestName = 4096;

    /// <summary>Whether an object is a module.</summary>
    /// <param name="value">The object.</param>
    /// <returns>Whether its state holds the dicts of a module.</returns>
    public static bool Is(PickleObject value) =>
        value.State is PickleDict state && state.Get("_modules") is PickleDict && state.Get("_parameters") is PickleDict;

    /// <summary>A module's tensors.</summary>
    /// <param name="root">The module.</param>
    /// <param name="work">What finding may cost.</param>
    /// <returns>Names and values as its state dict has them, buffers left out that are not persistent.</returns>
    /// <exception cref="LmcException">The modules are more than the file warrants, or nested deeper than any network's: one holds itself.</exception>
    public static List<(string Name, object? Value)> Items(PickleObject root, WorkLimit work)
    {
        var items = new List<(string, object?)>();
        var open = new Stack<(string Prefix, PickleObject Module)>([("", root)]);
        while (open.TryPop(out var at))
        {
            work.Require(at.Prefix.Length <= LongestName);
            if (!Is(at.Module)) continue;
            var state = (PickleDict)at.Module.State!;
            var passing = new HashSet<string>();
            if (state.Get("_non_persistent_buffers_set") is PickleSet names)
            {
                work.Spend(names.Count);
                passing.UnionWith(names.Items.OfType<string>());
            }

            Add("_parameters", []);
            Add("_buffers", passing);
            // The first child's tensors come first.
            foreach (var (child, value) in ((PickleDict)state.Get("_modules")!).Items.Reverse())
                if (value is PickleObject module) open.Push((Named(child) + ".", module));

            void Add(string which, HashSet<string> without)
            {
                if (state.Get(which) is not PickleDict own) return;
                foreach (var (key, value) in own.Items)
                    if (value is not null && !without.Contains(key)) items.Add((Named(key), value));
            }

            string Named(string key)
            {
                work.Spend(at.Prefix.Length + key.Length + 8);
                return at.Prefix + key;
            }
        }

        return items;
    }
}
