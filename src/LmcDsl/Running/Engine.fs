namespace LmcDsl

open System.Threading

/// What makes the steps of plans, somewhere, into a store: worker processes on this machine, or a cluster. What it left undone the runner
/// does itself.
type IEngine =

    /// Has everything made that plans need, but for the reports. Gives the steps that failed, each with a line that says why.
    /// Raises `LmcException` where the engine is not to be had, `OperationCanceledException` when cancelled.
    abstract Make:
        plans: Plan<Report> list * tell: (RunEvent -> unit) * cancel: CancellationToken -> (string * string) list
