using System.Runtime.CompilerServices;

namespace LmcDsl.Core.Runtime;

/// <summary>Checks at the door of public functions. Each failure is an <see cref="LmcException"/> of one line.</summary>
public static class Guard
{
    /// <summary>Requires <paramref name="condition"/>.</summary>
    /// <param name="condition">What must hold.</param>
    /// <param name="message">The line to show where it does not: what was expected, and what was found. Built only then.</param>
    /// <exception cref="LmcException">The condition does not hold.</exception>
    public static void Require(
        bool condition,
        [InterpolatedStringHandlerArgument(nameof(condition))] ref MessageOnFailure message)
    {
        if (!condition) throw new LmcException(message.ToString());
    }

    /// <summary>Requires a tensor of exactly this shape.</summary>
    /// <param name="name">What the tensor is, for the message.</param>
    /// <param name="tensor">The tensor.</param>
    /// <param name="shape">The shape wanted.</param>
    /// <exception cref="LmcException">The shape differs; the line names both.</exception>
    public static void Shape(string name, torch.Tensor tensor, params ReadOnlySpan<long> shape)
    {
        if (!shape.SequenceEqual(tensor.shape))
            throw new LmcException($"expected {name} of shape {Show(shape)} but got {Show(tensor.shape)}");
    }

    /// <summary>Does something and says where, should it fail.</summary>
    /// <param name="where">What a failure's line begins with, for example <c>barrier at lambda = 0.5</c>.</param>
    /// <param name="work">What to do.</param>
    /// <typeparam name="T">What it gives.</typeparam>
    /// <returns>What it gave.</returns>
    /// <exception cref="LmcException">It failed; the line names the place.</exception>
    public static T Within<T>(string where, Func<T> work)
    {
        try
        {
            return work();
        }
        catch (LmcException error)
        {
            throw new LmcException($"{where}: {error.Message}", error);
        }
    }

    /// <summary>Writes a shape as <c>[512, 784]</c>.</summary>
    /// <param name="shape">The shape.</param>
    /// <returns>The text.</returns>
    public static string Show(ReadOnlySpan<long> shape) => $"[{string.Join(", ", shape.ToArray())}]";

    /// <summary>Formats a message only when the condition it belongs to has failed.</summary>
    [InterpolatedStringHandler]
    public ref struct MessageOnFailure
    {
        private DefaultInterpolatedStringHandler handler;

        /// <summary>Called by the compiler for an interpolated string.</summary>
        /// <param name="literalLength">Characters outside of holes.</param>
        /// <param name="formattedCount">Number of holes.</param>
        /// <param name="condition">The condition that the message belongs to.</param>
        /// <param name="shouldAppend">Whether the message is wanted: the condition failed.</param>
        public MessageOnFailure(int literalLength, int formattedCount, bool condition, out bool shouldAppend)
        {
            shouldAppend = !condition;
            handler = condition ? default : new DefaultInterpolatedStringHandler(literalLength, formattedCount);
        }

        /// <summary>Appends text.</summary>
        /// <param name="text">The text.</param>
        public void AppendLiteral(string text) => handler.AppendLiteral(text);

        /// <summary>Appends a value.</summary>
        /// <param name="value">The value.</param>
        /// <typeparam name="T">Its type.</typeparam>
        public void AppendFormatted<T>(T value) => handler.AppendFormatted(value);

        /// <summary>Appends a value in a format.</summary>
        /// <param name="value">The value.</param>
        /// <param name="format">The format, for example <c>g4</c>.</param>
        /// <typeparam name="T">Its type.</typeparam>
        public void AppendFormatted<T>(T value, string? format) => handler.AppendFormatted(value, format);

        /// <summary>The finished message.</summary>
        /// <returns>The text.</returns>
        public override string ToString() => handler.ToStringAndClear();
    }
}
