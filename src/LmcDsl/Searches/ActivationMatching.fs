namespace LmcDsl

open LmcDsl.Core.Matching

/// Activation matching by covariance (Li et al., 1511.07543), on training examples.
[<AutoOpen>]
module ActivationMatchingSearch =

    let private op =
        Search.opOnTraining<ActivationMatchingOptions> "activationMatching" 3 0.5 (fun context options a b _ ->
            ActivationMatching.Match(a, b, Take.split context, options, Take.tell context "reading activations"))

    /// Activation matching with options of its own.
    let activationMatching (options: ActivationMatchingOptions) : Search =
        Search.make "AM" op "match activations of" options |> Search.onTraining |> Search.withoutStart

    /// Activation matching with its default options.
    let AM = activationMatching (ActivationMatchingOptions())
