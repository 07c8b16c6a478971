namespace LmcDsl

/// How much work an experiment is to be.
type Size =
    /// Under a minute each: small networks on parts of the data. Shows that everything works, not what holds.
    | Smoke
    /// Two cores and an afternoon: MLPs at full size, convolutional networks narrow and trained for few epochs.
    | Laptop
    /// The recipes of the paper, for a machine with a GPU.
    | Paper

/// A size, and what the command line changes of every set-up.
type Scale =
    {
        /// How much work.
        Size: Size
        /// Changes of the command line: device, threads, epochs, seeds.
        Adapt: Setup -> Setup
    }
