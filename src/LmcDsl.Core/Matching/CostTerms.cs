namespace LmcDsl.Core.Matching;

/// <summary>Of how many terms a group's assignment costs are sums: rounding grows with the root of their number.</summary>
internal struct CostTerms
{
    private double whole;
    private double added;

    /// <summary>
    /// Whether updates since the costs were last computed whole added up so many terms that the costs carry more than twice the rounding of
    /// costs computed whole.
    /// </summary>
    public readonly bool HaveDrifted => added > 3 * whole;

    /// <summary>Takes note that the costs have been computed whole.</summary>
    /// <param name="terms">Of the sum that each cost is.</param>
    public void Computed(double terms) => (whole, added) = (terms, 0);

    /// <summary>Takes note of an update.</summary>
    /// <param name="terms">Of the sums that were added to each cost.</param>
    public void Add(double terms) => added += terms;
}
