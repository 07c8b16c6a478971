namespace LmcDsl

open System.IO
open System.Reflection
open LmcDsl.Core.Runtime

/// plotly.js, which pages carry within themselves.
[<RequireQualifiedAccess>]
module internal PlotlyScript =

    // Plotly.NET carries it as a resource; nothing else of it is used, so the assembly is read and not referenced.
    let text: string Lazy =
        lazy
            (let folder =
                Path.GetDirectoryName(Assembly.GetExecutingAssembly().Location)
                |> Option.ofObj
                |> Option.defaultValue ""

             let assembly = Assembly.LoadFrom(Path.Combine(folder, "Plotly.NET.dll"))
             let isScript (name: string) = name.EndsWith ".min.js"

             match
                 assembly.GetManifestResourceNames()
                 |> Array.tryFind isScript
                 |> Option.map assembly.GetManifestResourceStream
             with
             | Some(NonNull stream) ->
                 use reader = new StreamReader(stream)
                 reader.ReadToEnd()
             | _ -> raise (LmcException "figures: expected plotly.js within Plotly.NET.dll, found none"))
