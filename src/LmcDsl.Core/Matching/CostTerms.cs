namespace LmcDsl.Core.Matching;

/// <summary>Of how many terms a group's assignment costs are sums: their rounding grows with the root of that number.</summary>
internal struct CostTerms
{
    /// <summary>
    /// <see cref="Updated"/> from which on a search computes costs whole once more before it ends: they then carry twice the rounding of costs
    /// computed whole.
    /// </summary>
    public const double Most = 3;

    private double whole;
    private double added;

    /// <summary>Terms that updates have added since the costs were last computed whole, as a multiple of their own.</summary>
    public readonly double Updated => added > 0 ? added / whole : 0;

    /// <summary>Takes note that the costs have been computed whole.</summary>
    /// <param name="terms">Of the sum that each cost is.</param>
    public void Computed(double terms) => (whole, added) = (terms, 0);

    /// <summary>Takes note of an update.</summary>
    /// <param name="terms">Of the sums that were added to each cost.</param>
    public void Add(double terms) => added += terms;
}
