/// What a script's functions do, and what they take from around them: part of the key, whatever it is.
module LmcDsl.Tests.Dsl.CapturedTests

open System.Collections.Generic
open Expecto
open TorchSharp
open LmcDsl
open LmcDsl.Core.Architectures
open LmcDsl.Core.Matching

type private Kind =
    | Plain
    | Scaled of by: float

let private keyOf (op: Op) =
    let plan: Plan<Report> = Plan.make op "step" (Args.none) []
    (Plan.node plan).Key

/// The same function of another value.
let private measured (value: 'a) =
    (Measure.make "mine" 1 (fun context -> {| Value = hash (box value); Inputs = context.Inputs.Length |})).Op

let private distinct what (ops: Op list) =
    let keys = ops |> List.map keyOf |> List.distinct
    Expect.equal keys.Length ops.Length $"{what}: a key for each"

let tests =
    testList "Captured" [
        test "two functions that took other values have other keys, and of the same values the same" {
            distinct "numbers" [ for p in [ 1.0; 2.0; 3.0 ] -> measured p ]
            distinct "near numbers" [ measured 0.1; measured (0.1 + 1e-16 * 2.0) ]
            distinct "texts" [ measured "a"; measured "b"; measured "" ]
            distinct "lists" [ measured [ 1; 2 ]; measured [ 2; 1 ]; measured [ 1 ]; measured ([]: int list) ]
            distinct "arrays" [ measured [| 1f; 2f |]; measured [| 1f; 3f |] ]
            distinct "arrays of texts" [ measured [| "a" |]; measured [| "b" |] ]
            distinct "unions" [ measured Plain; measured (Scaled 1.0); measured (Scaled 2.0) ]
            distinct "tuples" [ measured (1, "a"); measured (1, "b") ]
            distinct "records" [ measured {| A = 1; B = 2 |}; measured {| A = 2; B = 1 |} ]
            distinct "choices" [ measured (Some 1); measured (Some 2); measured (None: int option) ]
            distinct "maps" [ measured (Map [ 1, 2 ]); measured (Map [ 1, 3 ]) ]

            distinct "growing lists" [ measured (ResizeArray [ 1 ]); measured (ResizeArray [ 2 ]) ]
            distinct "dictionaries" [ measured (dict [ "a", 1 ]); measured (dict [ "a", 2 ]) ]
            distinct "sets" [ measured (HashSet [ 1 ]); measured (HashSet [ 2 ]) ]

            for _ in 1..2 do
                Expect.equal (keyOf (measured [ 1.5; 2.5 ])) (keyOf (measured [ 1.5; 2.5 ])) "the same"
        }

        test "tensors and models count by their numbers" {
            use _ = torch.NewDisposeScope()
            let numbers = torch.arange (6, dtype = torch.float32)

            distinct "tensors" [
                measured numbers
                measured (numbers + 1)
                measured (numbers.view (2, 3))
                measured (numbers.``to`` torch.bfloat16)
            ]

            // A view of every second number.
            let strided = torch.stack([| numbers; numbers |], 1).select(1, 0)
            Expect.equal (keyOf (measured (numbers.clone ()))) (keyOf (measured strided)) "wherever they lie"

            Expect.equal
                (keyOf (measured (numbers.clone().requires_grad_())))
                (keyOf (measured numbers))
                "learned or not"

            let model (seed: int64) width =
                ParameterSet.Initialize(Network(Catalogue.Mlp([| 2 |], [| width |], 2)), seed)

            distinct "models" [ measured (model 0L 2); measured (model 1L 2); measured (model 0L 3) ]
            Expect.equal (keyOf (measured (model 0L 2))) (keyOf (measured (model 0L 2))) "the same model"
        }

        test "values within functions within functions count, also below the library's own" {
            let inner (p: float) = fun (x: float) -> p * x
            distinct "functions" [ measured (inner 1.0); measured (inner 2.0) ]

            let search (p: float) =
                Search.op<WeightMatchingOptions> "mine" 1 1.0 (fun _ _ _ b _ ->
                    WeightMatching.Match(b, b, WeightMatchingOptions(Seed = int64 p)))

            distinct "searches" [ search 1.0; search 2.0 ]

            let onTraining (p: float) =
                Search.opOnTraining<WeightMatchingOptions> "mine" 1 1.0 (fun _ _ a b _ ->
                    WeightMatching.Match(a, b, WeightMatchingOptions(Seed = int64 p)))

            distinct "searches on examples" [ onTraining 1.0; onTraining 2.0 ]

            let merge (p: float) = Merge.op<WeightMatchingOptions> "mine" 1 (fun _ _ models -> models[int p])
            distinct "merges" [ merge 0.0; merge 1.0 ]
        }

        test "the library's own functions have the keys that they had" {
            // A library's function that takes a name.
            use memory = new InMemory(System.Threading.CancellationToken.None)

            Expect.equal
                (memory.Given("a model", ParameterSet.Zeros(Network(Catalogue.Mlp([| 2 |], [| 2 |], 2))))).Op.Captured
                ""
                "given"

            for metric in Library.metrics do
                Expect.equal metric.Op.Captured "" metric.Word

            for search in Library.searches do
                Expect.equal search.Op.Captured "" search.Word
        }
    ]
