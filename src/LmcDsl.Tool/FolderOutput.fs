namespace LmcDsl.Tool

open System
open System.IO
open System.Reflection
open System.Text
open LmcDsl
open LmcDsl.Core.Checkpoints
open LmcDsl.Core.Importing
open LmcDsl.Core.Runtime

/// Folders of models that commands write: the numbers in files as the folder that they are like has them, its description, tokenizer and other
/// small files, and a model card.
[<RequireQualifiedAccess>]
module FolderOutput =

    // As it was typed, words with spaces in quotation marks.
    let private command () =
        Environment.GetCommandLineArgs()
        |> Array.skip 1
        |> Array.map (fun word ->
            if word.Contains ' ' || word = "" then
                "'" + word.Replace("'", "'\\''") + "'"
            else
                word)
        |> String.concat " "

    // What a person reads is no place for control characters or a table's own bars.
    let private cell (text: string) = (VisibleText.Of text).Replace("|", "\\|").Replace("`", "'")

    /// The model card of what was made of some folders: what, of which files, by which search, how near they came.
    let card (title: string) (tags: string list) (folders: ModelFolder list) (facts: (string * Json) list) : string =
        let text = StringBuilder()
        let line (words: string) = text.Append(words).Append('\n') |> ignore
        line "---"
        line "library_name: transformers"

        match [ for folder in folders -> folder.Origin ] with
        | origins when List.contains "" origins -> ()
        | origins ->
            line "base_model:"

            for origin in origins do
                line $"- {origin}"

        line "tags:"

        for tag in tags do
            line $"- {tag}"

        line "---"
        line ""
        line $"# {title}"
        line ""
        line $"Made by LmcDsl {Provenance.informational (Assembly.GetExecutingAssembly())}:"
        line ""
        line $"    lmc {cell (command ())}"
        line ""
        line "| model | file | SHA-256 |"
        line "| --- | --- | --- |"

        for folder in folders do
            for file in folder.Weights() do
                line
                    $"| {cell (Path.TrimEndingDirectorySeparator folder.Path)} | {cell (FileInfo file).Name} | {DataFiles.hashOf file} |"

        line ""
        line "| | |"
        line "| --- | --- |"

        for name, value in facts do
            let shown =
                match value with
                | Json.Text words -> words
                | Json.Array items -> items |> List.map Json.text |> String.concat ", "
                | other -> Json.text other

            line $"| {cell name} | {cell shown} |"

        text.ToString()

    let private create (path: string) (write: Stream -> unit) =
        Path.GetDirectoryName path |> Option.ofObj |> Option.iter (Directory.CreateDirectory >> ignore)
        AtomicFile.write path write

    let private writeText (path: string) (text: string) =
        create path (fun stream -> stream.Write(ReadOnlySpan(Encoding.UTF8.GetBytes text)))

    /// Writes a folder like another one: `numbers` writes the file that one of its parts becomes. Returns the files that were not taken along.
    let write
        (target: string)
        (like: ModelFolder)
        (source: TensorSource)
        (card: string)
        (numbers: string -> Stream -> unit)
        : string list =
        let struct (kept, leftOut) = like.Files()

        AtomicFolder.write target (fun folder ->
            let inside (name: string) = Path.Combine(folder, name)

            for part in source.Parts do
                let written = ModelFolder.Written part

                let total =
                    source.Entries |> Seq.filter (fun entry -> source.PartOf entry.Name = part) |> Stage.bytesOf

                Stage.moving $"writing {Path.Combine(target, written)}" total (fun tell ->
                    create (inside written) (fun stream -> numbers part (new Counted(stream, tell))))

            for index in like.Index() do
                writeText (inside index.Key) index.Value

            for name in kept do
                create (inside name) (fun stream ->
                    use file = File.OpenRead(Path.Combine(like.Path, name))
                    file.CopyTo stream)

            writeText (inside "README.md") card)

        let weights = source.Parts |> Set.ofSeq

        [
            for name in leftOut do
                if not (weights.Contains name) then
                    name
        ]
