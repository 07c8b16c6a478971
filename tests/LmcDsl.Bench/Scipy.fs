namespace LmcDsl.Bench

open System
open System.Diagnostics
open System.IO
open LmcDsl.Core.Runtime

/// SciPy's assignment solver in a process of its own, which ends with this one. Its own clock counts: reading the file does not.
type Scipy() =

    // Keeps SciPy loaded: reads a matrix's file name, solves, and answers with the cost, the seconds and the columns.
    let server =
        """
import sys, time
import numpy as np
from scipy.optimize import linear_sum_assignment
for line in sys.stdin:
    path, n = line.split()
    cost = np.fromfile(path, dtype=np.float32).reshape(int(n), int(n)).astype(np.float64)
    begin = time.perf_counter()
    rows, columns = linear_sum_assignment(cost)
    seconds = time.perf_counter() - begin
    print(repr(float(cost[rows, columns].sum())), seconds, *columns, flush=True)
"""

    let python =
        // Debian's own interpreter is where python3-scipy installs to.
        let start = ProcessStartInfo("/usr/bin/python3", [ "-c"; server ])
        start.RedirectStandardInput <- true
        start.RedirectStandardOutput <- true
        start.RedirectStandardError <- true
        Process.Start start

    // Shared memory: no disk between the two processes.
    let path = Path.Combine("/dev/shm", $"lmcdsl-bench-{Environment.ProcessId}-{Guid.NewGuid():N}")
    let number (text: string) = Double.Parse(text, Globalization.CultureInfo.InvariantCulture)

    /// The cost of an optimal assignment, the seconds that finding it took, and the column of each row.
    member _.Solve(cost: ReadOnlySpan<float32>, n: int) : struct (float * float * int[]) =
        File.WriteAllBytes(path, Runtime.InteropServices.MemoryMarshal.AsBytes(cost).ToArray())
        python.StandardInput.WriteLine $"{path} {n}"
        let answer = python.StandardOutput.ReadLine()
        File.Delete path

        match answer with
        | null -> raise (LmcException "bench: expected /usr/bin/python3 with SciPy (Debian's python3-scipy)")
        | line ->
            let parts = line.Split ' '
            number parts[0], number parts[1], Array.map int parts[2..]
