namespace LmcDsl.Beyond

open LmcDsl
open LmcDsl.Core.Architectures
open LmcDsl.Core.Matching
open LmcDsl.Core.Training
open LmcDsl.Paper

/// Transformers of the experiments beyond the paper, at three scales: minutes on one core, hours on two, and as published.
[<RequireQualifiedAccess>]
module Language =

    let private recipe title points setup : Recipe =
        {
            Title = title
            Setup = setup
            Models = 3
            Points = points
            ResetOn = 10_000
            Steps = 100
            Inputs = 2_000
            FreeCopy = false
        }

    /// A language model by characters, with parts of one's own: two blocks of width 64, four of width 128.
    let characters (scale: Scale) (parts: TransformerOptions -> TransformerOptions) : Recipe =
        let layers, width, context, epochs, data =
            match scale.Size with
            | Smoke -> 2, 64, 64, 3, Part(TinyShakespeare, 6_000, 400)
            | Laptop -> 4, 128, 128, 2, TinyShakespeare
            | Paper -> 4, 128, 128, 20, TinyShakespeare

        let options = TransformerOptions(Layers = layers, Width = width, Heads = 4, Context = context)

        recipe
            $"GPT {layers}x{width} / {data.Title}"
            11
            (scale.Adapt
                { Setup.standard with
                    Data = data
                    Network = gptOf (parts options)
                    Epochs = epochs
                    BatchSize = 32
                    LearningRate = 2e-3
                    Schedule = Cosine 0.05
                })

    /// The language model of 2506.22712, appendix B, on Tiny Shakespeare by byte pairs: AdamW at 3e-4, weight decay 0.01, a cosine with 5 % of
    /// warm-up, batches of 32 windows of 256 tokens. Without dropout, over the 11,707 tokens that occur in place of all 50,257, and for a
    /// number of epochs in place of until the validation loss rises.
    let published (scale: Scale) : Recipe =
        let size, epochs =
            match scale.Size with
            | Smoke -> { Layers = 2; Width = 32; Heads = 2; Context = 64 }, 1
            | Laptop -> { Layers = 6; Width = 256; Heads = 4; Context = 256 }, 10
            | Paper -> { Layers = 6; Width = 256; Heads = 4; Context = 256 }, 30

        recipe
            $"GPT-2 {size.Layers}x{size.Width} / {TinyShakespeareBytePairs.Title}"
            11
            (scale.Adapt
                { Setup.standard with
                    Data = TinyShakespeareBytePairs
                    Network = gpt size
                    Epochs = epochs
                    BatchSize = 32
                    LearningRate = 3e-4
                    WeightDecay = 0.01
                    Optimizer = AdamW()
                    Schedule = Cosine 0.05
                    Precision = (if scale.Size = Paper then Precision.Float32 else Precision.Mixed)
                })

    /// A classifier of handwritten digits by patches, with norms of one's own.
    let vision (scale: Scale) (norm: TransformerNorm) : Recipe =
        let layers, width, epochs, data =
            match scale.Size with
            | Smoke -> 2, 32, 2, Part(Mnist, 10_000, 2_000)
            | Laptop -> 4, 64, 5, Mnist
            | Paper -> 6, 128, 50, Mnist

        recipe
            $"ViT {layers}x{width} / MNIST"
            11
            (scale.Adapt
                { Setup.standard with
                    Data = data
                    Network = vit 7 (TransformerOptions(Layers = layers, Width = width, Heads = 4, Norm = norm))
                    Epochs = epochs
                    BatchSize = 100
                    LearningRate = 1e-3
                    Schedule = Cosine 0.05
                })

    /// Rotations in which each parameter counts alike.
    let normalised = rotatedMatching (RotatedMatchingOptions(Normalised = true))

    /// Learned rotations of so many steps.
    let learned steps = learnedRotation (LearnedRotationOptions(Steps = steps, CheckEvery = max 1 (steps / 4)))

    /// Searches that need no data, as tables call them: among permutations alone, and among all symmetries.
    let withoutData: (string * Search) list =
        [
            "permutations", WM
            "permutations, outwards", OutwardWM
            "rotations", RotatedWM
            "rotations, each weight alike", normalised
        ]

    /// Those, and one that learns rotations in so many steps.
    let searches (steps: int) : (string * Search) list = List.append withoutData [ ("learned", learned steps) ]

    /// The straight-through estimator with a free copy, which learns permutations of units and heads, in batches as learned rotations have: an
    /// example of text is as many predictions as its window is long.
    let straightThrough (steps: int) : Search =
        let learned = LearnedRotationOptions()

        StraightThroughOptions(Steps = steps, BatchSize = learned.BatchSize, CheckOn = learned.CheckOn)
        |> LmcDsl.StraightThroughSearch.straightThrough

    /// Those, and the straight-through estimator in as many steps.
    let allSearches (recipe: Recipe) : (string * Search) list =
        List.append (searches recipe.Steps) [ ("straight-through", straightThrough recipe.Steps) ]

    /// Pairs of a recipe's models by each of some searches: barriers, singular vectors in all and by kind of block, distances, and the models
    /// themselves.
    let compare (recipe: Recipe) (models: Setup -> Population) (searches: (string * Search) list) : Plan<Report> list =
        [
            for name, search in searches do
                recipe.Setup
                |> (models
                    >> alignAs name search
                    >> measureAll [ recipe.Barrier; R; RByBlock; L2; Accuracy ]
                    |> sweep SeedsOf (Recipe.seedPairs recipe))
        ]

    /// Whether a subject is a pair of models.
    let ofPairs (s: Subject) = s.Models.Length = 2

    /// Whether a subject is a model itself.
    let ofModels (s: Subject) = s.Models.Length = 1 && s.Models <> [ "mean" ]

    /// Barriers of pairs, with what further columns there are, by some labels, state and search.
    let barriers (title: string) (labels: string list) (further: Column list) (report: Report) : Table =
        Table.summary
            title
            (labels @ [ "state"; "search" ])
            (Column.mean Quantity.lossBarrier :: further
             @ [ Column.mean (Quantity.r 0.3); Column.mean Quantity.reduction; Column.count ])
            ofPairs
            report

    /// R of pairs by kind of block, state and search.
    let blocks (report: Report) : Table =
        Table.summary
            "R by kind of block"
            [ "state"; "search" ]
            [ for kind in BlockKind.All -> Column.mean (Quantity.blockR kind) ]
            ofPairs
            report

    /// What models are worth themselves, by some labels.
    let themselves (labels: string list) (columns: Column list) (report: Report) : Table =
        Table.summary "The models themselves" labels columns ofModels report
