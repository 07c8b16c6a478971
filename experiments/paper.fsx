// Everything: every table and figure of the paper, then the claims page.   dotnet fsi build.fsx -t Paper
#load "prelude.fsx"
#load "paper/Recipe.fs"
#load "paper/Claims.fs"
#load "table1.fsx"
#load "figure1.fsx"
#load "figure2.fsx"
#load "figure3.fsx"
#load "figure4.fsx"
#load "width.fsx"
#load "regularisation.fsx"
#load "activationMatching.fsx"
#load "table2.fsx"
#load "table3.fsx"
#load "figure5.fsx"
#load "figure6.fsx"
#load "theorem41.fsx"
#load "theorem42.fsx"

open LmcDsl.Paper

[
    Table1.item
    Figure1.item
    Figure2.item
    Figure3.item
    Figure4.item
    Width.item
    Regularisation.item
    ActivationMatching.item
    Table2.item
    Table3.item
    Figure5.item
    Figure6.item
    Theorem41.item
    Theorem42.item
]
|> LmcDsl.Experiment.runAll fsi.CommandLineArgs "paper" "" "The claims of arXiv 2402.04051" Claims.at
