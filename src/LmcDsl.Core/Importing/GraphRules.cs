namespace LmcDsl.Core.Importing;

/// <summary>Writes an operator's layers and gives its outputs.</summary>
internal delegate GraphValue[] GraphRule(GraphNode at);

/// <summary>The operators that have a rule, by name. What has none is refused by name, never guessed.</summary>
internal static class GraphRules
{
    private static readonly Dictionary<string, GraphRule> All = new[]
    {
        ElementwiseRules.All, ShapeRules.All, ProductRules.All, ConvolutionRules.All, PoolingRules.All, ReductionRules.All, NormRules.All,
        RecurrentRules.All, AttentionRules.All, ConstantRules.All,
    }.SelectMany(rules => rules).ToDictionary(rule => rule.Key, rule => rule.Value);

    /// <summary>The names of all operators that have a rule.</summary>
    public static IEnumerable<string> Names => All.Keys.Order(StringComparer.Ordinal);

    /// <summary>The rule of an operator; null where it has none.</summary>
    public static GraphRule? Find(string name) => All.GetValueOrDefault(name);
}
