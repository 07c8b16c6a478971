namespace LmcDsl.Core.Runtime;

/// <summary>
/// A mistake in what the user gave (a file, an argument, a shape, a label), told in one line that names it, what was
/// expected and what was found. Programs print <see cref="Exception.Message"/> and end with a non-zero exit code; no
/// stack trace is shown.
/// </summary>
/// <param name="message">The line. Names in it may come from files: it is shown as <see cref="VisibleText"/> does, so that it stays one
/// line and no terminal obeys it.</param>
/// <param name="inner">What caused it, where another exception did.</param>
public sealed class LmcException(string message, Exception? inner = null)
    : Exception(VisibleText.Of(Excerpt.Of(message, LongestMessage)), inner)
{
    private const int LongestMessage = 6000; // names in it may be as long as the file that they come from

    /// <summary>The line alone: F# Interactive prints what a script's top level raises so, and a user's mistake needs no stack trace.</summary>
    /// <returns><see cref="Exception.Message"/>.</returns>
    public override string ToString() => Message;
}
