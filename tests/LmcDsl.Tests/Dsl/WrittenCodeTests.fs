/// An edited function of a script has another key under the same name and version, and gives no stored number of the old one.
module LmcDsl.Tests.Dsl.WrittenCodeTests

open System
open System.IO
open Expecto
open LmcDsl
open LmcDsl.Core.Architectures
open LmcDsl.Tests.Fixtures

let private keyOf (op: Op) =
    let plan: Plan<Report> = Plan.make op "step" Args.none []
    (Plan.node plan).Key

let private measured (work: float -> float) =
    keyOf (Measure.make "mine" 1 (fun context -> {| Value = work (float context.Inputs.Length) |})).Op

let private distinct what (keys: string list) =
    Expect.equal (List.distinct keys).Length keys.Length $"{what}: a key for each"

let private same what (keys: string list) = Expect.equal (List.distinct keys).Length 1 $"{what}: one key"

// Helpers by name, which a script would have at its top: the first two are one function.
let private twice x = if x > 100.0 then x else 2.0 * x + 1.0

let private alsoTwice number = // told otherwise
    if number > 100.0 then number else 2.0 * number + 1.0

let private thrice x = if x > 100.0 then x else 3.0 * x + 1.0
let private lessTwice x = if x < 100.0 then x else 2.0 * x + 1.0
let private throughTwice (x: float) = Math.Abs(twice x)
let private throughThrice (x: float) = Math.Abs(thrice x)

// Values by name.
let private factors = [ 1.0; 2.0 ]
let private otherFactors = [ 1.0; 3.0 ]

type private IScale =
    abstract By: float -> float

[<AbstractClass>]
type Kept() =
    inherit Layer()
    override _.Wire(_, inputs) = inputs[0]

type PlusOne() =
    inherit Kept()
    override _.Forward(_, inputs, _) = inputs[0].add(TorchSharp.Scalar.op_Implicit 1.0f)

type AlsoPlusOne() =
    inherit Kept()
    override _.Forward(_, tensors, _) = tensors[0].add(TorchSharp.Scalar.op_Implicit 1.0f)

type PlusTwo() =
    inherit Kept()
    override _.Forward(_, inputs, _) = inputs[0].add(TorchSharp.Scalar.op_Implicit 2.0f)

let private script =
    """
type Pair = { First: float; Second: float }
type Scale(by: float) =
    member _.By x = x * by
let factor = 2.0
let scale = Scale 5.0
let scaled x = scale.By(x * factor)
let large x = match x with Some n when n > 1.0 -> n
type Shape =
    | Circle of float
    | Square of float
let size shape = match shape with Circle r -> r | Square r -> 100.0 * r
type IWeigh =
    abstract Of: float -> float
type Power = { Up: float } with interface IWeigh with member this.Of x = x + this.Up
let weigh: IWeigh = { Up = 7.0 }
let range = { First = 4.5; Second = 7.5 }
let round = Circle 8.5
let own =
    Measure.make "mine" 1 (fun context ->
        let pairs = [ { First = scaled (float context.Inputs.Length); Second = large (Some 2.0) } ]
        let sum = List.sumBy (fun pair -> pair.First + pair.Second) pairs
        {| Value = sum + weigh.Of 9.5 |})
// Of values made elsewhere which field, which case it takes: nothing else of theirs is looked at.
let other = Measure.make "other" 1 (fun _ -> {| Value = range.First - range.Second + size round |})
let key (op: Op) = (Plan.node (Plan.make op "step" Args.none []: Plan<Report>)).Key
printfn "%s" (key own.Op + key other.Op)
"""

let tests =
    testList "WrittenCode" [
        test "another function has another key, the same one in another place the same" {
            same "helpers" [ measured twice; measured alsoTwice; measured twice ]
            distinct "a number, a comparison" [ measured twice; measured thrice; measured lessTwice ]
            distinct "what a helper's helper does" [ measured throughTwice; measured throughThrice ]

            distinct "a package's function" [
                measured (fun x -> Math.Abs x)
                measured (fun x -> Math.Floor x)
                measured (fun x -> x)
            ]

            distinct "texts" [ measured (fun x -> float "a".Length + x); measured (fun x -> float "b".Length + x) ]

            distinct "cases" [
                measured (fun x ->
                    if x = 1.0 then 2.0
                    elif x = 3.0 then 4.0
                    else 0.0)
                measured (fun x ->
                    if x = 1.0 then 2.0
                    elif x = 4.0 then 4.0
                    else 0.0)
            ]
        }

        test "values that are found by name count" {
            let first = measured (fun x -> x * List.sum factors)
            distinct "values" [ first; measured (fun x -> x * List.sum otherFactors) ]
        }

        test "what is called through another type counts: objects, functions of functions, delegates" {
            distinct "object expressions" [
                measured (fun x ->
                    { new IScale with
                        member _.By y = y + 1.0
                    }
                        .By
                        x)
                measured (fun x ->
                    { new IScale with
                        member _.By y = y + 2.0
                    }
                        .By
                        x)
            ]

            distinct "functions" [
                measured (fun x -> List.sumBy (fun y -> y + 1.0) [ x ])
                measured (fun x -> List.sumBy (fun y -> y + 2.0) [ x ])
            ]

            let through (work: Func<float, float>) = measured (fun x -> work.Invoke x)
            distinct "delegates" [ through (Func<_, _>(fun x -> x + 1.0)); through (Func<_, _>(fun x -> x + 2.0)) ]
        }

        test "a layer that does something else makes another model; the library's layers have the keys that they had" {
            let key (layer: Layer) =
                let network (data: DataSet) =
                    let chain = Chain()
                    chain.Add("flatten", Flatten()) |> ignore
                    chain.Add("mine", layer) |> ignore
                    chain.Add("out", Dense data.Classes) |> ignore
                    chain.Build("chain", List.toArray data.Shape)

                let plan = (train { Setup.standard with Network = network }).Trained 0
                (Plan.node plan).Args

            let layers (args: Json) = args.TryItem "layers"
            Expect.equal (layers (key (Activation ActivationFunction.Relu))) None "the library's"
            let code (layer: Layer) = (layers (key layer)).Value.TryItem(layer.GetType().Name)
            Expect.equal (code (PlusOne())) (code (AlsoPlusOne())) "the same"
            Expect.notEqual (code (PlusOne())) (code (PlusTwo())) "another"
        }

        test "in a script, a comment and another name change nothing; numbers at its top do, and in objects of its own" {
            inFolder (fun folder ->
                let versions =
                    [
                        script
                        "\n// Comments, and lines between.\n\n"
                        + script.Replace("scaled", "byFactor").Replace("context", "c")
                        script.Replace("2.0", "3.0")
                        script.Replace("x * factor", "x + factor")
                        script.Replace("5.0", "6.0")
                        // Which field, which case, what a record does for others.
                        script.Replace("range.First - range.Second", "range.Second - range.First")
                        script.Replace("Circle r -> r | Square r", "Square r -> r | Circle r")
                        script.Replace("x + this.Up", "x - this.Up")
                    ]

                let files =
                    [
                        for k, text in List.indexed versions do
                            let path = Path.Combine(folder, string k, "Script.fsx")
                            Directory.CreateDirectory(Path.Combine(folder, string k)) |> ignore
                            let core = typeof<Layer>.Assembly.Location
                            let dsl = typeof<Measure<int>>.Assembly.Location

                            File.WriteAllText(
                                path,
                                $"#nowarn \"25\"\n#r \"{core}\"\n#r \"{dsl}\"\nopen LmcDsl\n{text}"
                            )

                            path
                    ]

                File.WriteAllLines(Path.Combine(folder, "all.fsx"), [ for path in files -> $"#load \"{path}\"" ])
                let code, output, errors = runProgram folder "dotnet" [ "fsi"; "--quiet"; "all.fsx" ]
                Expect.equal code 0 (output + errors)
                let keys = output.Split('\n', StringSplitOptions.RemoveEmptyEntries) |> List.ofArray
                Expect.equal keys.Length 8 output
                same "comments and names" keys[..1]
                distinct "edits" keys[1..])
        }
    ]
