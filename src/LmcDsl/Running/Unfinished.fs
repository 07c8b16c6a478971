namespace LmcDsl

open System
open System.Collections.Concurrent
open System.Runtime.InteropServices
open System.Threading

/// What is to be taken away again where the process must end in the midst of its work: temporary files, locks.
[<RequireQualifiedAccess>]
module internal Unfinished =

    let private undoing = ConcurrentDictionary<obj, unit -> unit>()
    let mutable private ended = false

    [<DllImport("libc", EntryPoint = "_exit")>]
    extern void private exitAtOnce(int code)

    /// Notes how to undo something, until that is disposed: it then is finished.
    let undoneBy (undo: unit -> unit) : IDisposable =
        let token = obj ()
        undoing[token] <- undo

        if ended then
            Thread.Sleep Timeout.Infinite // nothing new is begun while all is undone

        { new IDisposable with
            member _.Dispose() = undoing.TryRemove token |> ignore
        }

    /// Undoes what is unfinished and ends the process at once, whatever its threads are at: native code hears of nothing.
    let endProcess (code: int) : unit =
        ended <- true

        for undo in undoing.Values do
            try
                undo ()
            with _ ->
                () // it is gone, or will be swept

        if OperatingSystem.IsWindows() then Environment.Exit code else exitAtOnce code
