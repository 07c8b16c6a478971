namespace LmcDsl

/// Models that differ in seed only, described one by one when asked for: only those that something asks for are trained.
type Population =
    {
        /// Member i as trained.
        Trained: int -> Plan<Model>
        /// Member i after alignment; as trained where nothing was aligned.
        Member: int -> Plan<Model>
        /// What the search found for a member, where members were aligned one by one.
        Alignment: (int -> Plan<Alignment>) option
        /// Whether a stage has aligned the members, so that the two above differ.
        Aligned: bool
        /// The mean of the aligned members, once `mergeN` has said of how many.
        Merged: Plan<Model> option
        /// The mean of the same members as trained, for comparison.
        MergedAsTrained: Plan<Model> option
        /// Which members were merged.
        Taken: int list
        /// Which pairs are measured; all pairs of the members taken where this is not said.
        Pairs: (int * int) list option
        /// Data that the members were trained on, for measures.
        Data: DataSet
        /// Where the measures are computed.
        Device: string
        /// What tells this population's rows from others in one table: name and value, for example `search` and `WM`. The
        /// search is told of aligned rows only.
        Labels: (string * string) list
        /// How many training examples batch-norm statistics are recomputed on after merging; none where the network has no
        /// such statistics, or where they are to be averaged like parameters.
        ResetOn: int option
        /// On how many training examples merged models are renormalised (REPAIR); none where they are not.
        RenormaliseOn: int option
    }
