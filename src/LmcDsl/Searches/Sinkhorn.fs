namespace LmcDsl

open LmcDsl.Core.Matching

/// Weight matching by Sinkhorn relaxation (Sinkhorn re-basin, 2212.12042), the solver of 2402.04051.
[<AutoOpen>]
module SinkhornSearch =

    let private op =
        Search.op<SinkhornMatchingOptions> "sinkhornMatching" 2 8.0 (fun context options a b start ->
            let tell share (objective: float) =
                Take.tell context $"relaxed objective {Number.fixedPoint 2 objective}" share

            SinkhornMatching.Match(a, b, options, start, tell))

    /// Sinkhorn matching with options of its own.
    let sinkhornMatching (options: SinkhornMatchingOptions) : Search =
        { Search.make "Sinkhorn" op "" options with
            Title = fun pair -> $"match weights of {pair} by Sinkhorn"
        }

    /// Weight matching by Sinkhorn relaxation, as it ends. `WM |> startingFrom SinkhornWM` goes on to where no single group can do better.
    let SinkhornWM = sinkhornMatching (SinkhornMatchingOptions())
