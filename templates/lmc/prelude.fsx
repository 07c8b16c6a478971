// Everything that a script needs: `#load "prelude.fsx"`, then `open LmcDsl`.
#r "nuget: LmcDsl"
// Torch's native library, of this machine: on macOS libtorch-cpu-osx-arm64, on Windows libtorch-cpu-win-x64.
#r "nuget: libtorch-cpu-linux-x64, 2.10.0"

// Numbers in titles and tables are written alike whatever the language of the machine.
System.Globalization.CultureInfo.DefaultThreadCurrentCulture <- System.Globalization.CultureInfo.InvariantCulture
System.Globalization.CultureInfo.CurrentCulture <- System.Globalization.CultureInfo.InvariantCulture

// Before a script's own lines touch `torch`: TorchSharp by itself looks for its native library in the wrong folder.
LmcDsl.Core.Runtime.TorchRuntime.Load() |> ignore
