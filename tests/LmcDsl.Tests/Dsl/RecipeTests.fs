/// The recipes of the experiments: which seeds are measured, and what they ask of searches and repairs.
module LmcDsl.Tests.Dsl.RecipeTests

open Expecto
open LmcDsl
open LmcDsl.Core.Architectures
open LmcDsl.Paper

let private at size = { Size = size; Adapt = id }
let private mlp = Recipe.mlp (at Smoke) Mnist

let tests =
    testList "Recipes" [
        test "pairs share no model where there are six or more, and are all that there are of fewer" {
            let pairs models = Recipe.seedPairs { mlp with Models = models }
            Expect.equal (pairs 10) [ [ 0L; 1L ]; [ 2L; 3L ]; [ 4L; 5L ]; [ 6L; 7L ]; [ 8L; 9L ] ] "five pairs"
            Expect.equal (pairs 3) [ [ 0L; 1L ]; [ 0L; 2L ]; [ 1L; 2L ] ] "each two of three"
            let triples models = Recipe.seedTriples { mlp with Models = models }
            Expect.equal (triples 10) [ [ 0L; 1L; 2L ]; [ 3L; 4L; 5L ]; [ 6L; 7L; 8L ] ] "three triples"
            Expect.equal (triples 3) [ [ 0L; 1L; 2L ]; [ 1L; 2L; 0L ]; [ 2L; 0L; 1L ] ] "each of three first"
            let turns = Recipe.seedTurns { mlp with Models = 4 }
            Expect.equal turns [ [ 0L .. 3L ]; [ 1L; 2L; 3L; 0L ]; [ 2L; 3L; 0L; 1L ] ] "turn by turn"

            Expect.equal
                LmcDsl.Beyond.Setting.pairsOfSeeds
                [ [ 0L; 1L ]; [ 2L; 3L ]; [ 4L; 5L ]; [ 6L; 7L ]; [ 8L; 9L ] ]
                "beyond the paper too"
        }

        test "searches take the recipe's steps, and statistics are repaired on its images" {
            for search in [ mlp.SinkhornWM; mlp.STE; mlp.SinkhornSTE ] do
                Expect.equal search.Options["steps"].Int mlp.Steps search.Name

            Expect.notEqual mlp.Steps 200 "which are not the default's"

            let normed =
                { mlp with
                    ResetOn = 77
                    Setup = { mlp.Setup with Network = resnet20 0.25 Norm.Batch; Data = Cifar10 }
                }

            Expect.equal (normed.Train normed.Setup).ResetOn (Some 77) "repaired on 77"
        }

        test "a width is that of all hidden layers" {
            let wide = Recipe.ofWidth 16 mlp
            Expect.equal (wide.Setup.Network Mnist).Name "mlp 16-16-16" "three layers"
            Expect.equal wide.Title "MLP 16 / MNIST" "and in its name"
        }

        test "convolutional networks are trained in mixed precision at laptop scale alone" {
            let precisions recipe = [ for size in [ Smoke; Laptop; Size.Paper ] -> (recipe (at size)).Setup.Precision ]

            for recipe in [ Recipe.vgg11; Recipe.resnet20 ] do
                Expect.equal (precisions recipe) [ Precision.Float32; Precision.Mixed; Precision.Float32 ] "by scale"
        }
    ]
