namespace LmcDsl

open System

/// Words as a POSIX shell reads them back.
[<RequireQualifiedAccess>]
module internal ShellWord =

    /// A word between single quotes.
    let quoted (word: string) : string = "'" + word.Replace("'", "'\\''") + "'"

    /// A word as one would type it: between quotes only where the shell would read it otherwise.
    let typed (word: string) : string =
        let isPlain c = Char.IsAsciiLetterOrDigit c || "-_./:=,+@%".Contains c
        if word <> "" && Seq.forall isPlain word then word else quoted word
