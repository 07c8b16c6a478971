namespace LmcDsl

open System
open System.IO
open LmcDsl.Core.Data
open LmcDsl.Core.Runtime
open Microsoft.ML.Tokenizers

/// What the tokens of a text are.
type TextTokens =
    /// Its characters, numbered in the order of their codes.
    | Characters
    /// GPT-2's byte pairs (Radford et al., 2019). Those that occur in the text are numbered in GPT-2's order, the others left out: a network
    /// has no rows for tokens that it never sees.
    | BytePairs

/// Data sets of text, as sequences of tokens: the next one is learned at each position.
[<AutoOpen>]
module TextData =

    // Windows unless a network says otherwise.
    let private usualContext = 128

    // GPT-2's table, read once.
    let private gpt2 = lazy (TiktokenTokenizer.CreateForModel "gpt2")

    // A text's tokens under their numbers elsewhere: codes of characters, numbers of GPT-2.
    let private encoded tokens (text: string) : int[] =
        match tokens with
        | Characters -> text.ToCharArray() |> Array.map int
        | BytePairs -> gpt2.Value.EncodeToIds text |> Seq.toArray

    // Cut before it is encoded, so that no token reaches over a cut: 90 % to train on, 5 % that are left alone, 5 % to test on.
    let private parts (text: string) =
        let place share = int (int64 text.Length * share / 20L)
        text.Substring(0, place 18L), text.Substring(place 18L, place 19L - place 18L), text.Substring(place 19L)

    // The three parts' tokens, and those that occur, in ascending order; all under their numbers elsewhere.
    let private encodedParts tokens text =
        let train, between, test = parts text
        let train, between, test = encoded tokens train, encoded tokens between, encoded tokens test
        (train, test), Array.concat [ train; between; test ] |> Array.distinct |> Array.sort

    /// Text as a data set: its name and title, what identifies it, where its files are, what its tokens are and how many occur in it, and how
    /// its path and text are read. The middle part is left alone.
    let internal text
        name
        title
        (content: unit -> Json)
        locate
        tokens
        (vocabulary: int)
        (read: unit -> string * string)
        : DataSet =
        let load context =
            let path, content = read ()
            let (train, test), known = encodedParts tokens content

            if known.Length <> vocabulary then
                raise (
                    LmcException
                        $"{path}: expected {vocabulary} different tokens, as there were, found {known.Length}: the text has changed"
                )

            let numbers = known |> Seq.mapi (fun number token -> token, int64 number) |> dict
            let numbered part = part |> Array.map (fun token -> numbers[token])
            TextWindows.Of(name, numbered train, numbered test, vocabulary, context)

        let rec windows context : DataSet =
            {
                Name = if context = usualContext then name else $"{name}:{context}"
                Title = title
                Shape = [ context ]
                Classes = vocabulary
                Windows = Some windows
                Bytes = false
                Content = content
                Locate = locate
                Read = fun _ -> load context
                Scaling = Standardised
            }

        windows usualContext

    type DataSet with

        /// A text file of one's own by characters, or by byte pairs; read once here, for the tokens that occur. Raises `LmcException` where it
        /// cannot be read.
        static member ofText(path: string, ?tokens: TextTokens) : DataSet =
            let tokens = defaultArg tokens Characters

            let read () =
                try
                    File.ReadAllText path
                with
                | :? IOException
                | :? UnauthorizedAccessException as error ->
                    raise (
                        LmcException($"{path}: expected a text, found none that can be read: {error.Message}", error)
                    )

            let vocabulary = (encodedParts tokens (read ()) |> snd).Length
            let file: string = Path.GetFileNameWithoutExtension path |> string

            let name =
                match tokens with
                | Characters -> file
                | BytePairs -> $"{file}-bpe"

            let locate () =
                if File.Exists path then
                    Ok [ path ]
                else
                    Error $"{name}: expected a file, found no '{path}'"

            text name name (fun () -> Json.Text(DataFiles.hashOf path)) locate tokens vocabulary (fun () ->
                path, read ())
