namespace LmcDsl

/// An experiment: what is to be measured, and how it is shown.
type Experiment =
    {
        /// Its name, and that of its folder under `results`.
        Name: string
        /// Heading of its page.
        Title: string
        /// The plans, for a scale. Steps that they share are done once.
        Plans: Scale -> Plan<Report> list
        /// The one set-up that all its models have, whose data set the command line may change.
        Setup: Setup option
        /// The data set to take where the set-up's cannot be had and the command line names none.
        Fallback: DataSet option
        /// What the reports are shown as; by default what each metric shows of itself.
        Show: (Report -> Exhibits) option
    }

/// Declaring experiments.
[<RequireQualifiedAccess>]
module Experiment =

    /// An experiment on one set-up, shown by the tables and figures that any report has.
    let create name title (setup: Setup) (reports: (Setup -> Plan<Report>) list) =
        {
            Name = name
            Title = title
            Plans = fun scale -> reports |> List.map (fun report -> report (scale.Adapt setup))
            Setup = Some setup
            Fallback = None
            Show = None
        }

    /// An experiment at several scales, on recipes of its own (see `Recipe`), with tables and figures of its own.
    let ofScale name title (plans: Scale -> Plan<Report> list) (show: Report -> Exhibits) =
        {
            Name = name
            Title = title
            Plans = plans
            Setup = None
            Fallback = None
            Show = Some show
        }

    /// The same experiment, on another data set where its own cannot be had and the command line names none.
    let withFallback (dataset: DataSet) (experiment: Experiment) = { experiment with Fallback = Some dataset }
