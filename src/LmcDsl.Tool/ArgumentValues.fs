namespace LmcDsl.Tool

open Argu
open LmcDsl
open LmcDsl.Core.Architectures
open LmcDsl.Core.Runtime

/// Values of single arguments of commands on models, each within what makes sense.
[<RequireQualifiedAccess>]
module ArgumentValues =

    /// Requires a number in a range: beyond it, it is a slip that would take all memory, or for ever.
    let within (name: string) least most value =
        if not (value >= least && value <= most) then
            raise (LmcException $"{name}: expected {least} to {most}, found {value}")

        value

    /// A number, with a point whatever the machine's language: "0,25" is none.
    let number (name: string) (text: string) : float =
        match Number.tryParse text with
        | Some value -> value
        | None -> raise (LmcException $"{name}: expected a number, found '{text}'")

    /// Sizes, some of them, each of 1 to 1,000,000.
    let sizes (name: string) (found: int list) =
        within $"{name}: how many sizes" 1 64 found.Length |> ignore

        for size in found do
            within name 1 1_000_000 size |> ignore

        List.toArray found

    /// The kind of norm that a word names.
    let norm name = Words.oneOf "--norm" [ "batch", Norm.Batch; "layer", Norm.Layer; "none", Norm.None ] name

    /// The device that the arguments name.
    let device (arguments: ParseResults<ModelArgument>) =
        TorchRuntime.Device(arguments.GetResult(ModelArgument.Device, defaultValue = "cpu"))

    /// How many starts a search has.
    let starts (arguments: ParseResults<ModelArgument>) =
        arguments.GetResult(ModelArgument.Starts, defaultValue = 1) |> within "--starts" 1 10_000

    /// How many points a barrier has.
    let points (arguments: ParseResults<ModelArgument>) =
        arguments.GetResult(ModelArgument.Points, defaultValue = 25) |> within "--points" 2 10_000

    /// The key of each file: one for all, or one for each.
    let keys (files: string list) (arguments: ParseResults<ModelArgument>) : (string | null) list =
        match arguments.TryGetResult ModelArgument.Key with
        | None -> files |> List.map (fun _ -> null)
        | Some [ key ] -> files |> List.map (fun _ -> key)
        | Some keys when keys.Length = files.Length -> keys |> List.map (fun key -> key)
        | Some keys ->
            raise (
                LmcException $"--key: expected one key, or one for each of {files.Length} files, found {keys.Length}"
            )
