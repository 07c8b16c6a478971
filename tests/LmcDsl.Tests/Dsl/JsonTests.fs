module LmcDsl.Tests.Dsl.JsonTests

open System
open Expecto
open FsCheck.FSharp
open LmcDsl
open LmcDsl.Core.Architectures
open LmcDsl.Core.Training
open LmcDsl.Tests.Fixtures

/// Any JSON value, nested a few levels.
let private anyJson =
    let text = ArbMap.defaults |> ArbMap.generate<FsCheck.NonNull<string>> |> Gen.map _.Get
    let number = ArbMap.defaults |> ArbMap.generate<FsCheck.NormalFloat> |> Gen.map (fun f -> Json.float f.Get)
    let whole = ArbMap.defaults |> ArbMap.generate<int64> |> Gen.map Json.int

    let leaf =
        Gen.oneof [
            Gen.constant Json.Null
            Gen.elements [ Json.Bool true; Json.Bool false ]
            number
            whole
            Gen.map Json.Text text
        ]

    let rec json depth =
        if depth = 0 then
            leaf
        else
            Gen.oneof [
                leaf
                Gen.listOf (json (depth - 1)) |> Gen.resize 4 |> Gen.map Json.Array
                Gen.listOf (Gen.zip text (json (depth - 1)))
                |> Gen.resize 4
                |> Gen.map (List.distinctBy fst >> Json.Object)
            ]

    Arb.fromGen (json 3)

let tests =
    testList "Json" [
        test "reading the text gives the value back" {
            FsCheck.Check.One(
                FsCheck.Config.QuickThrowOnFailure.WithMaxTest(cases 300),
                Prop.forAll anyJson (fun json -> Json.parse (Json.text json) = json)
            )
        }

        test "the order of fields does not matter, everything else does" {
            let a = Json.parse """{"b":[1,2],"a":{"y":1,"x":2}}"""
            let b = Json.parse """{ "a": {"x":2, "y":1.0}, "b": [1, 2] }"""
            Expect.equal (Json.text a) """{"a":{"x":2,"y":1},"b":[1,2]}""" "canonical"
            Expect.equal a b "equal"
            Expect.notEqual a (Json.parse """{"b":[2,1],"a":{"y":1,"x":2}}""") "order of items"
        }

        test "long lists are written in full" {
            let text = Json.text (Json.ints [ 1..500 ])
            Expect.stringContains text ",500]" "the last one is there"
        }

        test "numbers that JSON lacks come back" {
            for value in [ nan; infinity; -infinity; 0.1; 1e-300; -0.0 ] do
                let back = (Json.parse (Json.text (Json.float value))).Float
                Expect.isTrue (back.Equals value || back = value) $"{value}"
        }

        test "option records of the core come back, whatever the order of their fields" {
            for optimizer in [ Adam(0.8) :> Optimizer; Sgd 0.5; AdamW(0.7) ] do
                let options = TrainingOptions(Epochs = 3, Optimizer = optimizer, Schedule = Cosine 0.25)
                let json = Json.parse (Json.text (Json.ofValue options))
                Expect.equal (Json.toValue<TrainingOptions> json) options "equal"
                Expect.isFalse ((Json.text json).Contains "precision" || (Json.text json).Contains "shared") "not said"

            let options = TrainingOptions(Precision = Precision.Mixed, Shared = SharedStart(5L, 2))
            let json = Json.ofValue options
            Expect.stringContains (Json.text json) "\"precision\":\"Mixed\"" "said where it is on"
            Expect.equal (Json.toValue<TrainingOptions> json) options "equal"
        }

        test "a missing field and a wrong kind are told" {
            failsWith [ "'x'"; "found a, b" ] (fun () -> (Json.parse """{"a":1,"b":2}""")["x"] |> ignore)
            failsWith [ "a number"; "\"t\"" ] (fun () -> (Json.Text "t").Float |> ignore)
            failsWith [ "a whole number"; "1.5" ] (fun () -> (Json.float 1.5).Int64 |> ignore)
            failsWith [ "well-formed" ] (fun () -> Json.parse "{" |> ignore)
        }
    ]
