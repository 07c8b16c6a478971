namespace LmcDsl

open LmcDsl.Core.Merging

/// Task arithmetic (2212.04089): the first model is the base.
[<AutoOpen>]
module TaskArithmeticMerging =

    let private op = Merge.opOf<TaskArithmeticMerge> "mergeTaskArithmetic" 1

    /// Task arithmetic with a scale of its own: `taskArithmetic (TaskArithmeticMerge 0.4)`.
    let taskArithmetic (options: TaskArithmeticMerge) : Merge =
        Merge.ofMethod "task arithmetic" op "task arithmetic" options

    /// The base and the mean of the task vectors.
    let TaskArithmetic = taskArithmetic (TaskArithmeticMerge())
