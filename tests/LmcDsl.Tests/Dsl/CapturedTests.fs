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

// Of another assembly than the library's, as a script's package is.
type private LinkedLoop(value: int) =
    let mutable next: obj | null = null
    member _.Value = value

    member _.Next
        with get () = next
        and set (other: obj | null) = next <- other

type private Under(value: int) =
    member _.Value = value

type private Over(value: int) =
    inherit Under(value)

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

            distinct "tables" [ measured (array2D [ [ 1; 2 ]; [ 3; 4 ] ]); measured (Array2D.zeroCreate<int> 1 4) ]
            distinct "tables of one content" [ measured (Array2D.create 2 3 1); measured (Array2D.create 3 2 1) ]
            distinct "tables of texts" [ measured (Array2D.create 2 3 "a"); measured (Array2D.create 3 2 "a") ]

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

        test "options, sequences that are not begun, patterns, networks and data count by what they are made of" {
            let starts n = WeightMatchingOptions(Starts = n)
            distinct "options" [ measured (starts 1); measured (starts 2) ]
            Expect.equal (keyOf (measured (starts 3))) (keyOf (measured (starts 3))) "the same options"
            let scaled (by: float) = [ 1.0; 2.0 ] |> Seq.map (fun x -> by * x)
            distinct "sequences" [ measured (scaled 1.0); measured (scaled 2.0) ]
            let pattern (text: string) = System.Text.RegularExpressions.Regex text
            distinct "patterns" [ measured (pattern "a"); measured (pattern "b") ]
            let network (width: int) = Network(Catalogue.Mlp([| 2 |], [| width |], 2))
            distinct "networks" [ measured (network 2); measured (network 3) ]

            let data (value: float32) =
                DataSet.ofArrays "mine" [ 1; 1; 1 ] ([| [| value |] |], [| 0 |]) ([| [| 0f |] |], [| 0 |])

            distinct "data" [ measured (data 1f); measured (data 2f) ]
            Expect.equal (keyOf (measured (data 3f))) (keyOf (measured (data 3f))) "the same data"
            // The library's own functions too, where a script's function takes them.
            let points (n: int64) = Barrier |> Metric.withArgument "points" (Json.int n)
            distinct "metrics" [ measured (points 5L); measured (points 7L) ]
            distinct "set-ups" [ for width in [ 4; 5 ] -> measured { Setup.standard with Network = mlp [ width ] } ]
        }

        test "what a type has from the one that it derives from counts" {
            distinct "derived" [ measured (Over 1); measured (Over 2) ]
        }

        test "what leads back to itself has a key" {
            let loop (value: int) =
                let node = LinkedLoop(value)
                node.Next <- node
                node

            distinct "loops" [ measured (loop 1); measured (loop 2) ]
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
