using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// A sum of products in Einstein's notation, <c>bhd,bkd->hk</c> without the batch: axes of one letter are united, those that the output
/// does not name are summed over.
/// </summary>
public sealed class Einsum(string equation) : Layer
{
    private const char Batch = 'Z';

    /// <summary>The equation, one lower case letter for each axis but the batch.</summary>
    public string Equation { get; } = equation;

    /// <inheritdoc/>
    public override int Arity => 0;

    /// <inheritdoc/>
    public override bool MultipliesInputs => true;

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        var (terms, output) = Parse();
        Guard.Require(
            terms.Length == inputs.Count && terms.Zip(inputs).All(pair => pair.First.Length == pair.Second.Axes.Length && pair.First.Distinct().Count() == pair.First.Length),
            $"einsum layer: expected different letters for each axis of {string.Join(", ", inputs.Select(input => Guard.Show(input.Shape)))}, found '{Equation}'");
        var axes = new Dictionary<char, Axis>();
        foreach (var (letter, axis) in terms.Zip(inputs).SelectMany(pair => pair.First.Zip(pair.Second.Axes)))
            if (!axes.TryAdd(letter, axis))
            {
                Guard.Require(axes[letter].Size == axis.Size, $"einsum layer: expected axes '{letter}' of one size, found {axes[letter].Size} and {axis.Size}");
                wiring.Unite(axes[letter], axis);
            }

        Guard.Require(
            output.Distinct().Count() == output.Length && output.All(axes.ContainsKey), $"einsum layer: expected letters of the inputs in the output, found '{Equation}'");
        return Signal.Of([.. output.Select(letter => axes[letter])]);
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode)
    {
        var (terms, output) = Parse();
        return einsum($"{string.Join(',', terms.Select(term => Batch + term))}->{Batch}{output}", Broadcasting.SameBatch(Broadcasting.Numbers("einsum layer", inputs)));
    }

    private (string[] Terms, string Output) Parse()
    {
        var parts = (Equation ?? "").Replace(" ", "").Split("->");
        Guard.Require(
            parts.Length == 2 && parts.All(part => part.All(letter => letter is (>= 'a' and <= 'z') or ',')),
            $"einsum layer: expected an equation of lower case letters with an arrow, found '{Equation}'");
        return (parts[0].Split(','), parts[1]);
    }
}
