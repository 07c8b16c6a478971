module LmcDsl.Tests.Core.LinearAssignmentTests

open System
open Expecto
open LmcDsl.Core.Solvers
open LmcDsl.Tests.Fixtures

let private fill n (entry: int -> int -> float) = Array.init (n * n) (fun k -> float32 (entry (k / n) (k % n)))

/// Families of cost matrices that solvers are known to stumble over.
let private families: (string * (Random -> int -> float32[])) list =
    [
        "uniform", fun random n -> fill n (fun _ _ -> random.NextDouble())
        "normal, negative", fun random n -> fill n (fun _ _ -> -random.NextDouble() * random.NextDouble() * 100.0)
        "integer ties", fun random n -> fill n (fun _ _ -> float (random.Next 5))
        "all equal", fun _ n -> fill n (fun _ _ -> 3.0)
        "constant rows",
        fun random n ->
            let rows = Array.init n (fun _ -> random.NextDouble())
            fill n (fun i _ -> rows[i])
        "constant columns",
        fun random n ->
            let columns = Array.init n (fun _ -> random.NextDouble())
            fill n (fun _ j -> columns[j])
        "low rank",
        fun random n ->
            let a, b = Array.init n (fun _ -> random.NextDouble()), Array.init n (fun _ -> random.NextDouble())
            fill n (fun i j -> -a[i] * b[j])
        "product i j, Machol and Wien's hard case", fun _ n -> fill n (fun i j -> float ((i + 1) * (j + 1)))
        "near identity", fun random n -> fill n (fun i j -> (if i = j then -1.0 else 0.0) + 0.1 * random.NextDouble())
        "huge and tiny", fun random n -> fill n (fun _ _ -> Math.Pow(10.0, 12.0 * random.NextDouble() - 6.0))
        "beyond what sums in float hold", fun random n -> fill n (fun _ _ -> 3e38 * (random.NextDouble() - 0.5))
        "points in a plane",
        fun random n ->
            let point () = random.NextDouble(), random.NextDouble()
            let a, b = Array.init n (fun _ -> point ()), Array.init n (fun _ -> point ())
            fill n (fun i j -> sqrt ((fst a[i] - fst b[j]) ** 2.0 + (snd a[i] - snd b[j]) ** 2.0))
    ]

/// The certificate: a permutation, dual feasible, complementary. By weak duality it proves optimality.
let private certify name (cost: float32[]) n (answer: Assignment) =
    Expect.equal (Array.sort answer.Columns) [| 0 .. n - 1 |] $"{name}: each column once"
    let scale = cost |> Array.fold (fun m c -> max m (abs (float c))) 1.0
    let u, v = answer.RowPotentials, answer.ColumnPotentials
    let mutable worst = 0.0

    for i in 0 .. n - 1 do
        for j in 0 .. n - 1 do
            worst <- max worst (u[i] + v[j] - float cost[i * n + j])

        let j = answer.Columns[i]
        let gap = abs (float cost[i * n + j] - u[i] - v[j])
        Expect.isLessThanOrEqual gap (doubleRounding * scale) $"{name}: complementary slackness of row {i}"

    Expect.isLessThanOrEqual worst (doubleRounding * scale) $"{name}: dual feasible"

let private solve (cost: float32[]) n start = LinearAssignment.Minimize(ReadOnlySpan cost, n, start)

let private bruteForce (cost: float32[]) n =
    permutations [ 0 .. n - 1 ] |> List.map (List.mapi (fun i j -> float cost[i * n + j]) >> List.sum) |> List.min

let tests =
    testList "LinearAssignment" [
        for name, draw in families do
            test $"the answer carries its proof: {name}" {
                for n in [ 1; 2; 3; 4; 5; 7; 8; 9; 16; 31; 64; 100; 300 ] do
                    let cost = draw (Random n) n
                    certify $"{name}, n = {n}" cost n (solve cost n null)
            }

            test $"it equals brute force up to 8: {name}" {
                for n in 1..8 do
                    for seed in 1 .. (if n < 7 then 20 else 1) do
                        let cost = draw (Random(100 * n + seed)) n
                        let expected = bruteForce cost n
                        let found = (solve cost n null).Cost
                        Expect.floatClose Accuracy.veryHigh found expected $"n = {n}, seed = {seed}"
            }

            test $"a warm start changes nothing but the work: {name}" {
                let n = 60
                let random = Random 5
                let cost = draw random n
                let near = cost |> Array.map (fun c -> c * (1f + 0.01f * float32 (random.NextDouble())))
                let cold = solve near n null
                let warm = solve near n (solve cost n null)
                certify name near n warm
                Expect.floatClose Accuracy.veryHigh warm.Cost cold.Cost "same cost"
                let useless = solve (draw (Random 99) n) n null
                certify name near n (solve near n useless)
            }

        testPropertyWithConfig (config 100) "adding a number to a row or a column moves the cost by that number"
        <| fun (seed: int) (FsCheck.PositiveInt size) ->
            let n = 1 + size % 40
            let random = Random seed
            let cost = fill n (fun _ _ -> float (random.Next 1000))
            let moved = Array.copy cost
            let row, column = random.Next n, random.Next n

            for k in 0 .. n - 1 do
                moved[row * n + k] <- moved[row * n + k] + 64f
                moved[k * n + column] <- moved[k * n + column] - 32f

            (solve moved n null).Cost = (solve cost n null).Cost + 32.0

        test "what is no cost matrix is refused" {
            failsWith [ "2 x 2"; "found 3" ] (fun () -> solve [| 1f; 2f; 3f |] 2 null |> ignore)
            failsWith [ "1 or more"; "found 0" ] (fun () -> solve [||] 0 null |> ignore)

            for bad in [ nanf; infinityf; -infinityf ] do
                for at in [ 0; 8; 80 ] do
                    let cost = Array.zeroCreate 81
                    cost[at] <- bad
                    failsWith [ "finite" ] (fun () -> solve cost 9 null |> ignore)
        }

        test "what is no start of a problem of this size is refused" {
            let refuse parts (columns: int list) (potentials: float list) =
                let start = Assignment(List.toArray columns, [| 0.0; 0.0 |], List.toArray potentials, 0.0)
                failsWith ("start" :: parts) (fun () -> solve [| 1f; 2f; 3f; 9f |] 2 start |> ignore)

            refuse [ "size 2"; "3 columns" ] [ 0; 1; 2 ] [ 0.0; 0.0 ]
            refuse [ "size 2"; "1 potentials" ] [ 1; 0 ] [ 0.0 ]
            refuse [ "0 to 1"; "found 5" ] [ 5; 0 ] [ 0.0; 0.0 ]
            refuse [ "0 to 1"; "found -1" ] [ 0; -1 ] [ 0.0; 0.0 ]

            for bad in [ nan; infinity; -infinity ] do
                refuse [ "finite" ] [ 1; 0 ] [ 0.0; bad ]
        }

        test "a start that gives one column to two rows changes nothing but the work" {
            let random = Random 7
            let cost = fill 5 (fun _ _ -> random.NextDouble())
            let start = Assignment(Array.create 5 3, Array.zeroCreate 5, [| for k in 0..4 -> float k |], 0.0)
            certify "one column for all" cost 5 (solve cost 5 start)
        }
    ]
