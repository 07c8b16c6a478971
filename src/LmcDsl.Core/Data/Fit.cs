using LmcDsl.Core.Architectures;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Data;

/// <summary>
/// Whether examples are what a network was made for. Each operation that takes both asks before anything runs.
/// </summary>
public static class Fit
{
    /// <summary>Requires examples of the network's input shape, labels below its number of classes, and one example or more.</summary>
    /// <param name="network">The network.</param>
    /// <param name="data">The examples.</param>
    /// <param name="what">What is about to be done, for the message: <c>barrier</c>.</param>
    /// <exception cref="LmcException">They do not fit; the line names the network, what it expects and what was found.</exception>
    public static void Require(Network network, DataSplit data, string what)
    {
        var input = network.Architecture.Input;
        Guard.Require(
            data.Images.shape.Skip(1).SequenceEqual(input.Select(s => (long)s)),
            $"{what}: network '{network.Architecture.Name}' expects images of [{string.Join(", ", input)}], found {Guard.Show(data.Images.shape.AsSpan(1))}");
        Guard.Require(data.Count >= 1, $"{what}: expected 1 or more images, found none");
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        RequireTokens(network, data, what);
        Guard.Require(
            data.Labels.shape.Skip(1).SequenceEqual(network.Positions is { } positions ? [(long)positions] : []),
            $"{what}: network '{network.Architecture.Name}' expects {(network.Positions is { } many ? $"{many} labels" : "a label")} for each example, found {Guard.Show(data.Labels.shape.AsSpan(1))}");
        long least = data.Labels.min().ToInt64(), largest = data.Labels.max().ToInt64();
        Guard.Require(
            least >= 0 && largest < network.Classes,
            $"{what}: network '{network.Architecture.Name}' has {network.Classes} classes, found label {(least < 0 ? least : largest)}");
    }

    private static void RequireTokens(Network network, DataSplit data, string what)
    {
        var isText = !data.Images.is_floating_point();
        Guard.Require(
            isText == network.Vocabulary is not null,
            $"{what}: network '{network.Architecture.Name}' reads {(network.Vocabulary is null ? "numbers" : "tokens")}, found {(isText ? "tokens" : "numbers")}");
        if (network.Vocabulary is not { } tokens) return;
        long least = data.Images.min().ToInt64(), largest = data.Images.max().ToInt64();
        Guard.Require(
            least >= 0 && largest < tokens,
            $"{what}: network '{network.Architecture.Name}' has {tokens} tokens, found token {(least < 0 ? least : largest)}");
    }

    /// <summary>The same, and that the examples are on the model's device.</summary>
    /// <param name="model">The model.</param>
    /// <param name="data">The examples.</param>
    /// <param name="what">What is about to be done, for the message.</param>
    /// <exception cref="LmcException">They do not fit.</exception>
    public static void Require(ParameterSet model, DataSplit data, string what)
    {
        Guard.Require(
            model.Flat.device_type == data.Images.device_type && data.Images.device_type == data.Labels.device_type,
            $"{what}: expected images and labels on the model's device {model.Flat.device}, found {data.Images.device} and {data.Labels.device}");
        Require(model.Network, data, what);
    }
}
