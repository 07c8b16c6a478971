using System.Globalization;
using LmcDsl.Core.Runtime;
using nietras.SeparatedValues;

namespace LmcDsl.Core.Data;

/// <summary>Examples in a CSV file with a heading: one column holds the class, the others numbers.</summary>
/// <param name="Path">The file.</param>
/// <param name="Columns">The columns of numbers, in order.</param>
/// <param name="Values">The numbers, row by row.</param>
/// <param name="Classes">The class of each row.</param>
public sealed record CsvExamples(string Path, string[] Columns, float[] Values, string[] Classes)
{
    /// <summary>Reads a file (RFC 4180; numbers with a point, whatever the machine's language).</summary>
    /// <param name="path">The file.</param>
    /// <param name="label">The column of the class.</param>
    /// <returns>Its examples.</returns>
    /// <exception cref="LmcException">There is no such column, a cell is no number, or a row is short; the line names file and row.</exception>
    public static CsvExamples Read(string path, string label)
    {
        using var reader = Sep.New(',').Reader(o => o with { Unescape = true, DisableColCountCheck = true }).FromFile(path);
        var heading = reader.Header.ColNames;
        Guard.Require(heading.Count > 0, $"{path}: expected a heading of columns, found an empty file");
        var at = heading.ToList().IndexOf(label);
        Guard.Require(at >= 0, $"{path}: expected a column '{label}' for the class, found {string.Join(", ", heading.Take(20))}");
        var (values, classes) = (new List<float>(), new List<string>());
        foreach (var row in reader)
        {
            Guard.Require(
                row.ColCount == heading.Count,
                $"{path}: expected {heading.Count} cells in each row, found {row.ColCount} in line {row.LineNumberFrom}");
            for (var k = 0; k < heading.Count; k++)
            {
                if (k == at)
                {
                    classes.Add(row[k].ToString());
                    continue;
                }

                Guard.Require(
                    float.TryParse(row[k].Span, NumberStyles.Float, CultureInfo.InvariantCulture, out var value),
                    $"{path}: expected a number in column '{heading[k]}' of line {row.LineNumberFrom}, found '{row[k].ToString()}'");
                values.Add(value);
            }
        }

        return new CsvExamples(path, [.. heading.Where((_, k) => k != at)], [.. values], [.. classes]);
    }
}
