namespace LmcDsl.Tool

open System
open System.IO
open System.Reflection
open System.Text.Json
open System.Text.Json.Nodes
open System.Text.RegularExpressions
open Argu
open LmcDsl
open LmcDsl.Core.Architectures
open LmcDsl.Core.Runtime

/// `lmc new ...`: something to begin with.
[<RequireQualifiedAccess>]
module NewCommand =

    let private usage =
        """lmc new NAME               a folder NAME with an experiment, its prelude and a README
lmc new network NETWORK    the description of a network, as JSON (mlp, resnet20, vgg11, ...; --width, --norm, --hidden,
                           --classes and --input as for lmc merge); give it back by --arch FILE.json"""

    // A layer a line, for people to change.
    let private readable (architecture: Architecture) : string =
        let relaxed = JsonSerializerOptions(Encoder = Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping)

        match JsonNode.Parse(architecture.ToJson()) with
        | :? JsonObject as root ->
            // A space after each comma and colon that stands outside of texts.
            let spaced = Regex("([:,])(?=(?:[^\"]*\"[^\"]*\")*[^\"]*$)")

            let text (node: JsonNode | null) =
                match node with
                | null -> "null"
                | node -> spaced.Replace(node.ToJsonString relaxed, "$1 ")

            let field name = "  \"" + name + "\": " + text root[name] + ","

            let nodes =
                match root["nodes"] with
                | :? JsonArray as nodes -> nodes |> Seq.map (fun node -> "    " + text node) |> String.concat ",\n"
                | _ -> ""

            String.concat "\n" [ "{"; field "name"; field "input"; "  \"nodes\": ["; nodes; "  ]"; "}" ]
        | _ -> architecture.ToJson()

    let private network (words: string list) : string =
        let program = "lmc new network"
        let parser = ArgumentParser.Create<ModelArgument>(programName = program)

        match words with
        | name :: rest when not (name.StartsWith '-') ->
            let arguments = Words.parse program parser ([ "none"; "--arch"; name ] @ rest)
            let found, _ = NetworkArguments.network arguments
            readable found.Architecture
        | _ -> raise (Usage($"lmc new network: expected a network's name (what there is: lmc new --help)", 2))

    // A file of the template, as it is packed for `dotnet new`.
    let private ofTemplate (name: string) : string =
        use stream = nonNull (Assembly.GetExecutingAssembly().GetManifestResourceStream $"template/{name}")
        use reader = new StreamReader(stream)
        reader.ReadToEnd()

    // The template's files but for its prelude, which is that of this installation.
    let private folder (name: string) (say: string -> unit) : unit =
        if not (Regex.IsMatch(name, @"^[A-Za-z][A-Za-z0-9._-]*$")) then
            raise (
                LmcException $"new: expected a name of letters, digits, dots, dashes and underscores, found '{name}'"
            )

        if Path.Exists name then
            raise (LmcException $"new: expected a name that is free, found '{name}' there")

        Directory.CreateDirectory name |> ignore
        let put (file: string) (content: string) = AtomicFile.writeText (Path.Combine(name, file)) content
        put $"{name}.fsx" ((ofTemplate "experiment.fsx").Replace("MyExperiment", name))
        put "README.md" ((ofTemplate "README.md").Replace("MyExperiment", name))
        put "prelude.fsx" (ScriptCommand.prelude () + "\n")
        say $"Written: {Path.GetFullPath name}. Run it with: cd {name} && lmc run {name}.fsx"

    /// Runs the command.
    let run (say: string -> unit) (words: string list) : unit =
        match words with
        | "network" :: rest -> say (network rest)
        | [ "--help" ]
        | [ "-h" ] -> say usage
        | [ name ] -> folder name say
        | _ -> raise (Usage($"lmc new: expected NAME, or network NETWORK (what there is: lmc new --help)", 2))
