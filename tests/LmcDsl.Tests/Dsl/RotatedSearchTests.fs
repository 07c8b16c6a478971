/// Searches whose answers are more than permutations, through plans: what was found is stored as JSON, and applied from there.
module LmcDsl.Tests.Dsl.RotatedSearchTests

open System.Threading
open Expecto
open LmcDsl
open LmcDsl.Core.Architectures
open LmcDsl.Core.Matching
open LmcDsl.Tests.Fixtures

// Rotations of the stream, matrices within heads, heads of queries within those of keys.
let private network =
    Network(
        Catalogue.Gpt(11, TransformerOptions(Layers = 1, Width = 12, Heads = 4, KeyHeads = 2, Hidden = 10, Context = 5))
    )

let private models = [ for seed in 1L .. 3L -> randomParameters network seed ]

let private population (memory: InMemory) =
    let nodes = [ for k, model in List.indexed models -> memory.Given($"model {k}", model) ]
    Population.ofModels nodes TinyShakespeare "cpu" None

let private memberOf (memory: InMemory) (population: Population) index =
    match memory.Value(Plan.node (population.Member index)) with
    | Parameters model -> model
    | Document _ -> failtest "expected a model"

let private same (one: ParameterSet) (other: ParameterSet) what =
    Expect.equal (one.Flat.data<float32>().ToArray()) (other.Flat.data<float32>().ToArray()) what

let tests =
    testList "Rotated searches" [
        test "a member is aligned by what the search found, matrices included" {
            use memory = new InMemory(CancellationToken.None)
            let aligned = population memory |> align RotatedWM
            let found = RotatedMatching.Match(models[0], models[1])
            use expected = RotatedMatching.Apply(models[0], models[1], found.Transformation)
            same (memberOf memory aligned 1) expected "member 1"
            same (memberOf memory aligned 0) models[0] "the reference stays"
        }

        test "tokens count by how often they are in the training text" {
            inFolder (fun folder ->
                let path = System.IO.Path.Combine(folder, "text.txt")
                // The training part has a as often as all others together, the last one in 20 is z alone, beside what the vocabulary needs.
                let letters = "abacadaeafagahai"
                let train = String.replicate 113 letters |> Seq.truncate 1800 |> Seq.toArray |> System.String
                System.IO.File.WriteAllText(path, train + System.String('a', 100) + System.String('z', 97) + "zyz")
                let text = DataSet.fitting [ 5 ] (DataSet.ofText path)
                Expect.equal text.Classes 11 "a to i, y and z"
                use data = DataSet.load text

                use memory = new InMemory(CancellationToken.None)
                let nodes = [ for k, model in List.indexed models -> memory.Given($"model {k}", model) ]
                let aligned = Population.ofModels nodes text "cpu" None |> align TokenWM
                let frequencies = TokenFrequencies.Of(network, data.Train)
                let options = RotatedMatchingOptions(Normalised = true)
                let found = RotatedMatching.Match(models[0], models[1], options, null, frequencies)
                use expected = RotatedMatching.Apply(models[0], models[1], found.Transformation)
                same (memberOf memory aligned 1) expected "by the training text")
        }

        test "models of one name that are given are two" {
            use memory = new InMemory(CancellationToken.None)
            let one, other = memory.Given("a model", models[0]), memory.Given("a model", models[1])

            let value node =
                match memory.Value node with
                | Parameters model -> model
                | Document _ -> failtest "expected a model"

            same (value one) models[0] "the first"
            same (value other) models[1] "the second"
        }

        test "several members are aligned each by its own" {
            use memory = new InMemory(CancellationToken.None)
            let aligned = population memory |> alignAll 3 RotatedMergeMany
            let found = RotatedMergeManyMatching.Match(List.toArray models)

            for index in 1..2 do
                let others = models |> List.removeAt index |> List.tail |> List.toArray

                use expected = RotatedMatching.Apply(models[0], models[index], found.Transformations[index], others)

                same (memberOf memory aligned index) expected $"member {index}"
        }

        test "what only permutations can do is refused, with what to write" {
            use memory = new InMemory(CancellationToken.None)

            failsWith [ "startingFrom"; "align RotatedWM >> align STE" ] (fun () ->
                (population memory |> align (STE |> startingFrom RotatedWM)).Member 1 |> ignore)

            failsWith [ "RotatedWM has no start" ] (fun () ->
                (population memory |> align (RotatedWM |> startingFrom WM)).Member 1 |> ignore)

            failsWith [ "alignFirst"; "RotatedWM"; "align takes it" ] (fun () ->
                (population memory |> alignFirst 1 RotatedWM).Member 1 |> ignore)
        }
    ]
