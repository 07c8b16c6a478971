// Whether the paper's mechanism holds in transformers: attention, positions and norms, means of several, vision; then a page of verdicts.   dotnet fsi build.fsx -t Transformers
#load "prelude.fsx"
#load "paper/Recipe.fs"
#load "beyond/Setting.fs"
#load "beyond/Language.fs"
#load "beyond/Sentence.fs"
#load "beyond/LanguageClaims.fs"
#load "attention.fsx"
#load "languageMeans.fsx"
#load "vision.fsx"

open LmcDsl.Beyond

let items = [ Attention.item; LanguageMeans.item; Vision.item ]

// The published network takes hours at each size but the smallest: its claims are those of `publishedRow` and `beyond`.
let claims _ =
    LanguageClaims.all
    |> List.filter (fun claim -> items |> List.exists (fun item -> item.Name = claim.Experiment))

items
|> LmcDsl.Experiment.runAll fsi.CommandLineArgs "transformers" "transformers" "Transformers, beyond the paper" claims
