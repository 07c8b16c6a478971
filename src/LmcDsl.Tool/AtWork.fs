namespace LmcDsl.Tool

open System
open System.IO
open System.Security.Cryptography
open System.Text
open LmcDsl
open LmcDsl.Core.Runtime

/// What a command is at, written down while it lasts, in the user's cache: where native code crashes nothing is said, and the same command,
/// run again in the same folder, says what the last one was at.
[<RequireQualifiedAccess>]
module AtWork =

    let mutable private right: Right option = None

    let private place (words: string list) : string =
        let what = String.Join('\000', Directory.GetCurrentDirectory() :: words)
        let name = (Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes what))).Substring(0, 16)
        Path.Combine(UserCache.Folder, "lmcdsl", "at-work", name)

    // Nothing where the cache cannot be written, or the same command is at work.
    let private take (path: string) : Right option =
        try
            (FileInfo path).Directory |> Option.ofObj |> Option.iter _.Create()
            Some(new Right(new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None), path))
        with
        | :? IOException
        | :? UnauthorizedAccessException -> None

    /// Writes down what the command is at.
    let note (what: string) : unit = right |> Option.iter (fun right -> right.Note what)

    /// Does the work of a command with these words. Tells first how the last one with the same words ended, where that was without a word.
    let during (words: string list) (work: unit -> 'a) : 'a =
        right <- take (place words)

        match right |> Option.bind _.Left with
        | Some left ->
            let line =
                $"lmc: the last time this ended without a word while {left}: it was killed, or crashed in native code"

            Console.Error.WriteLine(VisibleText.Of line)
        | None -> ()

        try
            note $"beginning to {words.Head}"
            work ()
        finally
            right |> Option.iter (fun right -> (right :> IDisposable).Dispose())
