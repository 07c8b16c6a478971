// Beyond the paper: the questions that it leaves open, measured, then a page of verdicts.   dotnet fsi build.fsx -t Beyond
#load "prelude.fsx"
#load "paper/Recipe.fs"
#load "beyond/Setting.fs"
#load "beyond/Law.fs"
#load "beyond/Language.fs"
#load "beyond/Sentence.fs"
#load "beyond/LanguageClaims.fs"
#load "beyond/Claims.fs"
#load "dependence.fsx"
#load "several.fsx"
#load "mechanism.fsx"
#load "widthLaw.fsx"
#load "attention.fsx"
#load "languageMeans.fsx"
#load "vision.fsx"
#load "publishedRow.fsx"

open LmcDsl.Beyond

[
    Dependence.item
    Several.item
    Mechanism.item
    WidthLaw.item
    Attention.item
    LanguageMeans.item
    Vision.item
    PublishedRow.item
]
|> LmcDsl.Experiment.runAll fsi.CommandLineArgs "beyond" "beyond" "Beyond the paper" Claims.at
