/// Linear assignment: on costs met in weight matching and on families that solvers stumble over, beside SciPy's solver.
module LmcDsl.Bench.AssignmentBench

open System
open System.Diagnostics
open System.IO
open LmcDsl.Core.Runtime
open LmcDsl.Core.Solvers

let private fill n (entry: int -> int -> float) = Array.init (n * n) (fun k -> float32 (entry (k / n) (k % n)))

let private families: (string * (Random -> int -> float32[])) list =
    [
        "uniform", fun random n -> fill n (fun _ _ -> random.NextDouble())
        "integer ties", fun random n -> fill n (fun _ _ -> float (random.Next 100))
        "low rank",
        fun random n ->
            let a, b =
                Array.init (n * 8) (fun _ -> random.NextDouble() - 0.5),
                Array.init (n * 8) (fun _ -> random.NextDouble() - 0.5)

            fill n (fun i j -> Seq.sum (seq { for k in 0..7 -> a[8 * i + k] * b[8 * j + k] }))
        "near identity", fun random n -> fill n (fun i j -> (if i = j then -1.0 else 0.0) + 0.1 * random.NextDouble())
        "constant rows",
        fun random n ->
            let rows = Array.init n (fun _ -> random.NextDouble())
            fill n (fun i _ -> rows[i])
        "geometric",
        fun random n ->
            let a, b =
                Array.init (2 * n) (fun _ -> random.NextDouble()), Array.init (2 * n) (fun _ -> random.NextDouble())

            fill n (fun i j -> sqrt ((a[2 * i] - b[2 * j]) ** 2.0 + (a[2 * i + 1] - b[2 * j + 1]) ** 2.0))
    ]

// A Python process that keeps SciPy loaded: it reads a matrix's file name, solves, and answers with the cost and seconds.
let private server =
    """
import sys, time
import numpy as np
from scipy.optimize import linear_sum_assignment
for line in sys.stdin:
    path, n = line.split()
    cost = np.fromfile(path, dtype=np.float32).reshape(int(n), int(n)).astype(np.float64)
    begin = time.perf_counter()
    rows, columns = linear_sum_assignment(cost)
    print(repr(float(cost[rows, columns].sum())), time.perf_counter() - begin, flush=True)
"""

/// SciPy's solver in a process of its own, which ends with this one. Its own clock counts: reading the file does not.
type private Scipy() =
    let python =
        // Debian's own interpreter is where python3-scipy installs to.
        let start = ProcessStartInfo("/usr/bin/python3", [ "-c"; server ])
        start.RedirectStandardInput <- true
        start.RedirectStandardOutput <- true
        start.RedirectStandardError <- true
        Process.Start start

    let number (text: string) = Double.Parse(text, Globalization.CultureInfo.InvariantCulture)

    /// The cost of an optimal assignment, and the seconds that finding it took.
    member _.Solve(cost: float32[], n: int) : float * float =
        let path = Path.GetTempFileName()

        try
            File.WriteAllBytes(path, Runtime.InteropServices.MemoryMarshal.AsBytes(ReadOnlySpan cost).ToArray())
            python.StandardInput.WriteLine $"{path} {n}"

            match python.StandardOutput.ReadLine() with
            | null ->
                raise (LmcException "assignment bench: expected /usr/bin/python3 with SciPy (Debian's python3-scipy)")
            | line ->
                let parts = line.Split ' '
                number parts[0], number parts[1]
        finally
            File.Delete path

/// Every family at several sizes. Both solvers must find the same cost.
let comparisons () : Comparison list =
    let scipy = Scipy()

    [
        for name, draw in families do
            for n in [ 512; 1024; 2048 ] do
                let cost = draw (Random n) n
                let expected, _ = scipy.Solve(cost, n)

                let ours () =
                    let found = LinearAssignment.Minimize(ReadOnlySpan cost, n)

                    if abs (found.Cost - expected) > 1e-6 * (1.0 + abs expected) then
                        raise (
                            LmcException $"assignment, {name}, n = {n}: expected cost {expected}, found {found.Cost}"
                        )

                {
                    Name = $"assignment, {name}"
                    N = n
                    Ours = fun () -> Timing.seconds ours
                    Reference = "SciPy"
                    Theirs = fun () -> snd (scipy.Solve(cost, n))
                    Rounds = 3
                }
    ]
