namespace LmcDsl

open System.IO
open System.Reflection
open LmcDsl.Core.Runtime

/// plotly.js, which pages carry within themselves.
[<RequireQualifiedAccess>]
module internal PlotlyScript =

    let private read (assembly: Assembly) (isIt: string -> bool) : Stream option =
        assembly.GetManifestResourceNames()
        |> Array.tryFind isIt
        |> Option.bind (fun name -> assembly.GetManifestResourceStream name |> Option.ofObj)

    // Plotly.NET carries it as a resource; it lies in this library as a resource itself, so that no package needs it.
    let text: string Lazy =
        lazy
            (let found =
                read (Assembly.GetExecutingAssembly()) ((=) "Plotly.NET.dll")
                |> Option.bind (fun stream ->
                    use stream = stream
                    use content = new MemoryStream()
                    stream.CopyTo content
                    read (Assembly.Load(content.ToArray())) _.EndsWith(".min.js"))

             match found with
             | Some stream ->
                 use reader = new StreamReader(stream)
                 reader.ReadToEnd()
             | None -> raise (LmcException "figures: expected plotly.js within the library, found none"))
