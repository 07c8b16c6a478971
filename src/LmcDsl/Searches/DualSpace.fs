namespace LmcDsl

open LmcDsl.Core.Matching

/// Matching by weights and activations at once (MuDSC, 2403.01753), on training examples.
[<AutoOpen>]
module DualSpaceSearch =

    let private op =
        Search.opOnTraining<DualSpaceMatchingOptions> "dualSpaceMatching" 2 3.0 (fun context options a b start ->
            let reading = Take.tell context "reading activations"
            DualSpaceMatching.Match(a, b, Take.split context, options, start, reading, Search.passes context))

    /// Dual-space matching with options of its own.
    let dualSpaceMatching (options: DualSpaceMatchingOptions) : Search =
        Search.make "dual WM" op "match weights and activations of" options |> Search.onTraining

    /// Weight matching that heeds activations too, with its default options.
    let DualWM = dualSpaceMatching (DualSpaceMatchingOptions())
