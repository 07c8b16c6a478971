namespace LmcDsl.Tool

open System
open System.IO
open Argu
open LmcDsl
open LmcDsl.Core.Checkpoints
open LmcDsl.Core.Runtime

/// The file or folder that a command writes, whole or not at all.
[<RequireQualifiedAccess>]
module Output =

    /// Writes a file, or a folder where the models are such, that is there whole or not at all: like model `index`, `numbers` writing all
    /// tensors, or those of one of its files. `card` is what a folder's card says. Returns what an answer says of it.
    let save
        (models: Models)
        (index: int)
        (path: string)
        (card: unit -> string)
        (numbers: string | null -> Stream -> unit)
        : (string * Json) list =
        match models.Folders with
        | [] ->
            let total = Stage.bytesOf models.Placements[index].Source.Entries

            Stage.moving $"writing {path}" total (fun tell ->
                AtomicFile.write path (fun stream -> numbers null (new Counted(stream, tell))))

            []
        | folders ->
            match FolderOutput.write path folders[index] models.Placements[index].Source (card ()) numbers with
            | [] -> []
            | leftOut -> [ "files not taken along", Json.texts leftOut ]

    // The folder to write. What commands that were killed left of theirs beside it is removed.
    let private outputFolder (arguments: ParseResults<ModelArgument>) : string =
        match arguments.TryGetResult ModelArgument.Output with
        | Some path ->
            let isFile (ending: string) = path.EndsWith(ending, StringComparison.OrdinalIgnoreCase)

            if List.exists isFile [ ".safetensors"; ".onnx"; ".pt"; ".pth"; ".bin"; ".ckpt" ] then
                raise (LmcException $"--output: expected a folder to write, as the models are folders, found '{path}'")

            AtomicFolder.sweep path |> ignore
            AtomicFolder.ready path // told before the work
            path
        | None -> raise (LmcException "--output: expected the folder to write, found none")

    // Told before the work, and by the name that was given.
    let private ready (file: string) : unit =
        try
            AtomicFile.ready file
        with
        | :? IOException
        | :? UnauthorizedAccessException as error ->
            let folder = Path.GetDirectoryName(Path.GetFullPath file) |> Option.ofObj |> Option.defaultValue "/"

            let why =
                match error with
                | _ when File.Exists folder -> $"'{folder}' is a file"
                | :? FileNotFoundException
                | :? DirectoryNotFoundException -> "its folder takes no files"
                | _ -> error.Message.ReplaceLineEndings " "

            raise (LmcException($"--output: expected a file that can be written, found '{file}': {why}", error))

    /// The file or folder to write, like one of those given. What commands that were killed left of theirs beside it is removed.
    let path (like: string list -> string) (arguments: ParseResults<ModelArgument>) : string =
        // A slip in a model's name is told as such: what is to be written depends on what the models are.
        for file in ModelArgument.models arguments do
            if not (Directory.Exists file) then
                InputFile.Require(file, "a checkpoint or a folder of a model")

        match arguments.TryGetResult ModelArgument.Output with
        | _ when NetworkArguments.areFolders arguments -> outputFolder arguments
        | Some file when Directory.Exists file ->
            raise (LmcException $"--output: expected a file to write, found the folder '{file}'")
        // A graph is written as a graph, under any other name numbers as safetensors.
        | Some file when TensorSource.IsOnnx file && not (ModelArgument.models arguments |> like |> TensorSource.IsOnnx) ->
            raise (
                LmcException
                    $"--output: expected a name that ends in .safetensors, as the models are no ONNX files, found '{file}'"
            )
        | Some file when not (TensorSource.IsOnnx file) && ModelArgument.models arguments |> like |> TensorSource.IsOnnx ->
            raise (LmcException $"--output: expected a name that ends in .onnx, as the model's does, found '{file}'")
        | Some file when file.EndsWith ".safetensors" || TensorSource.IsOnnx file ->
            match Path.GetDirectoryName(Path.GetFullPath file) with
            | null -> ()
            | folder -> AtomicFile.sweep folder "*.safetensors." |> ignore

            ready file
            file
        | Some file -> raise (LmcException $"--output: expected a name that ends in .safetensors, found '{file}'")
        | None -> raise (LmcException "--output: expected the file to write, found none")
