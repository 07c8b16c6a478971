// Everything that a script needs: `#load "prelude.fsx"`, then `open LmcDsl`.
// Where the library is not built yet F# Interactive says so under the name that the next line gives to these.
#line 4 "The library is not built yet. Run: dotnet fsi build.fsx -t Library. What F# Interactive says of it:"
#r "../src/LmcDsl/bin/Release/net10.0/TorchSharp.dll"
#r "../src/LmcDsl/bin/Release/net10.0/LmcDsl.Core.dll"
#r "../src/LmcDsl/bin/Release/net10.0/LmcDsl.dll"
#r "../src/LmcDsl/bin/Release/net10.0/Argu.dll"
#r "../src/LmcDsl/bin/Release/net10.0/Spectre.Console.dll"
#r "../src/LmcDsl/bin/Release/net10.0/XPlot.Plotly.dll"
#r "../src/LmcDsl/bin/Release/net10.0/MathNet.Numerics.dll"
#line 12 "prelude.fsx"

// Numbers in titles and tables are written alike whatever the language of the machine.
System.Globalization.CultureInfo.DefaultThreadCurrentCulture <- System.Globalization.CultureInfo.InvariantCulture
System.Globalization.CultureInfo.CurrentCulture <- System.Globalization.CultureInfo.InvariantCulture

// Before a script's own lines touch `torch`: TorchSharp by itself looks for its native library in the wrong folder.
LmcDsl.Core.Runtime.TorchRuntime.Load() |> ignore
