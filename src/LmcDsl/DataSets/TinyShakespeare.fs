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

    // The characters that occur in it, in the order of their codes.
    let private alphabet = "\n !$&',-.3:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

    let private read () =
        let path, content = List.head (DataFiles.read files)
        Encoding.ASCII.GetString content |> characters alphabet path

    /// Tiny Shakespeare by characters: 1.1 million of 65, in windows of as many as the network reads.
    let TinyShakespeare =
        text
            files.Name
            "Tiny Shakespeare"
            (DataFiles.content files)
            (fun () -> DataFiles.locate files)
            alphabet.Length
            read
