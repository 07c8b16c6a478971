using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Data;

/// <summary>
/// Text as examples for a language model: windows of neighbouring tokens that do not overlap, each with the token that comes next at every
/// position.
/// </summary>
public static class TextWindows
{
    /// <summary>A text's two parts as examples.</summary>
    /// <param name="name">The text's name, for messages.</param>
    /// <param name="train">The tokens to train on.</param>
    /// <param name="test">The tokens to test on.</param>
    /// <param name="vocabulary">Number of tokens there are; each is below it.</param>
    /// <param name="context">Tokens of a window.</param>
    /// <returns>The data, on the CPU: inputs and labels int64 <c>[windows, context]</c>.</returns>
    /// <exception cref="LmcException">A token is out of range, or a part is shorter than one window and the token after it.</exception>
    public static ImageData Of(string name, long[] train, long[] test, int vocabulary, int context)
    {
        Guard.Require(context >= 1, $"{name}: expected windows of 1 or more tokens, found {context}");
        return new ImageData(Part("training part", train), Part("test part", test), vocabulary);

        DataSplit Part(string part, long[] tokens)
        {
            var stray = Array.FindIndex(tokens, token => token < 0 || token >= vocabulary);
            Guard.Require(
                stray < 0,
                $"{name}, {part}: expected tokens from 0 to {vocabulary - 1}, found {(stray < 0 ? 0 : tokens[stray])} at place {stray}");
            return Cut($"{name}, {part}", tokens, context);
        }
    }

    /// <summary>Cuts a text into windows. What is left at its end is not used.</summary>
    /// <param name="name">The text's name, for messages.</param>
    /// <param name="tokens">The text.</param>
    /// <param name="context">Tokens of a window.</param>
    /// <returns>The windows, on the CPU.</returns>
    /// <exception cref="LmcException">The text is shorter than one window and the token after it.</exception>
    public static DataSplit Cut(string name, ReadOnlySpan<long> tokens, int context)
    {
        var windows = (tokens.Length - 1) / context;
        Guard.Require(windows >= 1, $"{name}: expected {context + 1} or more tokens, found {tokens.Length}");
        using var scope = NewDisposeScope();
        Tensor From(ReadOnlySpan<long> part) => tensor(part[..(windows * context)].ToArray()).view(windows, context);
        return new DataSplit(From(tokens), From(tokens[1..]));
    }
}
