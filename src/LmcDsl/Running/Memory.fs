namespace LmcDsl

open System
open System.IO

/// Memory of this machine and of processes, in bytes, as Linux tells it.
[<RequireQualifiedAccess>]
module internal Memory =

    let private field (path: string) (name: string) : int64 option =
        try
            File.ReadLines path
            |> Seq.tryFind _.StartsWith(name + ":")
            |> Option.map (fun line -> 1024L * int64 (line.Split(' ', StringSplitOptions.RemoveEmptyEntries).[1]))
        with
        | :? IOException
        | :? UnauthorizedAccessException -> None

    /// What could be had without swapping; nothing where the system does not tell.
    let available () : int64 option = field "/proc/meminfo" "MemAvailable"

    /// The most that a process had in memory so far.
    let peak (processId: int) : int64 option = field $"/proc/{processId}/status" "VmHWM"

    /// What a process has in memory.
    let held (processId: int) : int64 option = field $"/proc/{processId}/status" "VmRSS"
