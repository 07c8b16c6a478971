namespace LmcDsl

open System
open System.IO
open System.Text
open System.Threading
open LmcDsl.Core.Runtime

/// The right to make a value, until it is disposed. The system gives it back when the process dies.
type Right internal (stream: FileStream, path: string) =

    let unfinished = Unfinished.undoneBy (fun () -> File.Delete path)

    let left =
        let text = Array.zeroCreate<byte> 1000
        let count = stream.ReadAtLeast(Span text, text.Length, throwOnEndOfStream = false)
        Encoding.UTF8.GetString(text, 0, count).Trim()

    /// What the last one who had this right said it was at, where it ended without giving it back: killed, or by a crash.
    member _.Left: string option = if left = "" then None else Some left

    /// Says what is at work, for whoever has the right next.
    member _.Note(what: string) : unit =
        if stream.CanWrite then
            stream.SetLength 0L
            stream.Write(ReadOnlySpan(Encoding.UTF8.GetBytes what))
            stream.Flush()

    interface IDisposable with
        /// Gives it back. Whoever takes it after this looks first whether the value is there.
        member _.Dispose() =
            try
                File.Delete path
            with
            | :? IOException
            | :? UnauthorizedAccessException -> () // another user's, in a folder where only owners take names away

            stream.Dispose()
            unfinished.Dispose()

/// The rights to make a store's values: one process at a time has that of a key.
type internal StoreLocks(folder: StoreFolder) =

    /// The right to make a value, if no other process has it.
    member _.TryTake(key: string) : Right option =
        Directory.CreateDirectory folder.Locks |> ignore
        let path = folder.Lock key

        // Another user's lock may be readable only: that is enough to see whether it is held, and to hold it.
        let openLock () =
            match StoreFolder.KindOf path with
            | FileKind.None
            | FileKind.Regular -> ()
            | _ -> folder.Remove key path

            try
                new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None)
            with :? UnauthorizedAccessException when StoreFolder.KindOf path = FileKind.Regular ->
                new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.None)

        // The file may be gone between the refusal and the look at it, once or twice; not for ever.
        let rec attempt tries =
            try
                Some(openLock ())
            with :? IOException when tries > 0 ->
                if File.Exists path then None else attempt (tries - 1)

        attempt 20 |> Option.map (fun stream -> new Right(stream, path))

    /// Takes the right to make a value, waiting while another process has it. `waiting` is called once if it must wait.
    member this.Take(key: string, waiting: unit -> unit, cancel: CancellationToken) : Right =
        let rec acquire told =
            match this.TryTake key with
            | Some right -> right
            | None ->
                if not told then
                    waiting ()

                cancel.WaitHandle.WaitOne 200 |> ignore
                cancel.ThrowIfCancellationRequested()
                acquire true

        acquire false
