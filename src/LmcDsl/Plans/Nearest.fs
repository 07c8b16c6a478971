namespace LmcDsl

open System

/// What somebody may have meant.
[<RequireQualifiedAccess>]
module Nearest =

    // Levenshtein's distance: how many letters are put in, left out or changed.
    let private distance (a: string) (b: string) =
        let first = [| 0 .. b.Length |]

        let last =
            (first, a)
            ||> Seq.fold (fun above letter ->
                let row = Array.zeroCreate (b.Length + 1)
                row[0] <- above[0] + 1

                for k in 1 .. b.Length do
                    let change = if b[k - 1] = letter then 0 else 1
                    row[k] <- min (min (row[k - 1] + 1) (above[k] + 1)) (above[k - 1] + change)

                row)

        last[b.Length]

    /// The known word nearest to one, where it is near enough to be meant: at most a third of its letters differ, whatever their case.
    let word (known: string list) (text: string) : string option =
        let lower (text: string) = text.ToLowerInvariant()

        known
        |> List.map (fun word -> distance (lower word) (lower text), word)
        |> List.filter (fun (apart, word) -> apart <= max 1 (max word.Length text.Length / 3))
        |> List.sort
        |> List.tryHead
        |> Option.map snd

    /// `; did you mean 'x'?`, or nothing.
    let hint (known: string list) (text: string) : string =
        match word known text with
        | Some meant -> $"; did you mean '{meant}'?"
        | None -> ""
