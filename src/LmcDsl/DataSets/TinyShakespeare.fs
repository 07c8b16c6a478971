namespace LmcDsl

open System.Text

/// Forty thousand lines of Shakespeare's plays (Karpathy, 2015), the usual small text for language models.
[<AutoOpen>]
module TinyShakespeareData =

    let private files: FileSet =
        {
            Name = "tiny-shakespeare"
            Files =
                [
                    {
                        Name = "input.txt"
                        Sha256 = Some "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
                    }
                ]
            Mirrors = [ "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/" ]
            Within = None
        }

    let private read () =
        let path, content = List.head (DataFiles.read files)
        path, Encoding.ASCII.GetString content

    let private by name title tokens vocabulary =
        text name title (DataFiles.content files) (fun () -> DataFiles.locate files) tokens vocabulary read

    /// Tiny Shakespeare by characters: 1.1 million of 65, in windows of as many as the network reads.
    let TinyShakespeare = by files.Name "Tiny Shakespeare" Characters 65

    /// Tiny Shakespeare by GPT-2's byte pairs: 338 thousand of the 11,707 that occur in it.
    let TinyShakespeareBytePairs = by $"{files.Name}-bpe" "Tiny Shakespeare (byte pairs)" BytePairs 11707
