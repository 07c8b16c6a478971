// Beyond the paper: the questions that it leaves open, measured, then a page of verdicts.   dotnet fsi build.fsx -t Beyond
#load "prelude.fsx"
#load "paper/Recipe.fs"
#load "beyond/Setting.fs"
#load "beyond/Law.fs"
#load "beyond/Claims.fs"
#load "dependence.fsx"
#load "several.fsx"
#load "mechanism.fsx"
#load "widthLaw.fsx"

open LmcDsl.Beyond

[ Dependence.item; Several.item; Mechanism.item; WidthLaw.item ]
|> LmcDsl.Experiment.runAll fsi.CommandLineArgs "beyond" "beyond" "Beyond the paper" Claims.at
