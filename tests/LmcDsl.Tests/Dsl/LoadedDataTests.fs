module LmcDsl.Tests.Dsl.LoadedDataTests

open Expecto
open LmcDsl

let private node (data: DataSet) : Node =
    let op = Op.make "reads" 1 0.1 (fun _ -> Document Json.Null)
    let args = { Json = Json.Object [ "data", DataSet.identity data ]; Data = Some data }
    let plan: Plan<Report> = Plan.make op "reads" args []
    Plan.node plan

let private arrays (value: float32) =
    DataSet.ofArrays "mine" [ 1; 1; 1 ] ([| [| value |]; [| 0f |] |], [| 0; 1 |]) ([| [| value |] |], [| 0 |])

let tests =
    testList "Loaded data" [
        test "data sets of one name are two where their content or their scale differ, and one where neither does" {
            use loaded = new LoadedData()
            let first (data: DataSet) = (loaded.For(node data)).Test.Images.flatten().[0].item<float32>()
            Expect.equal (first (arrays 1f)) 1f "one"
            Expect.equal (first (arrays 2f)) 2f "other numbers"
            Expect.equal (first (arrays 1f |> DataSet.scaled (Scaled([ 0.0 ], [ 2.0 ])))) 0.5f "another scale"
            Expect.isTrue (obj.ReferenceEquals(loaded.For(node (arrays 1f)), loaded.For(node (arrays 1f)))) "read once"
        }
    ]
