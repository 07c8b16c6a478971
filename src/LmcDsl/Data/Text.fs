namespace LmcDsl

open System
open System.IO
open LmcDsl.Core.Data
open LmcDsl.Core.Runtime

/// Data sets of text, as sequences of tokens: the next one is learned at each position.
[<AutoOpen>]
module TextData =

    // Windows unless a network says otherwise.
    let private usualContext = 128

    /// Text as a data set: its name and title, what identifies it, where its files are, how many tokens there are, and how it is read into
    /// tokens. Cut in 90, 5 and 5 % one after the other; the last is the test part, the middle is left alone.
    let internal text name title (content: unit -> Json) locate (vocabulary: int) (read: unit -> int64[]) : DataSet =
        let rec windows context : DataSet =
            {
                Name = if context = usualContext then name else $"{name}:{context}"
                Title = title
                Shape = [ context ]
                Classes = vocabulary
                Windows = Some windows
                Content = content
                Locate = locate
                Read = fun _ -> TextWindows.Split(name, read (), vocabulary, context)
                Scaling = Standardised
            }

        windows usualContext

    /// A text's characters, each a token: numbered in the order of their codes.
    let internal characters (alphabet: string) (path: string) (text: string) : int64[] =
        let numbers = Seq.indexed alphabet |> Seq.map (fun (k, c) -> c, int64 k) |> dict

        [|
            for c in text do
                match numbers.TryGetValue c with
                | true, number -> number
                | _ -> raise (LmcException $"{path}: expected the characters that it had, found U+{int c:X4}")
        |]

    let private alphabetOf (text: string) = text |> Seq.distinct |> Seq.sort |> Seq.toArray |> String

    type DataSet with

        /// A text file of one's own by characters; read once here, for its characters. Raises `LmcException` where it cannot be read.
        static member ofText(path: string) : DataSet =
            let content =
                try
                    File.ReadAllText path
                with
                | :? IOException
                | :? UnauthorizedAccessException as error ->
                    raise (
                        LmcException($"{path}: expected a text, found none that can be read: {error.Message}", error)
                    )

            let alphabet = alphabetOf content
            let name: string = Path.GetFileNameWithoutExtension path |> string

            let locate () =
                if File.Exists path then
                    Ok [ path ]
                else
                    Error $"{name}: expected a file, found no '{path}'"

            text name name (fun () -> Json.Text(DataFiles.hashOf path)) locate alphabet.Length (fun () ->
                characters alphabet path (File.ReadAllText path))
