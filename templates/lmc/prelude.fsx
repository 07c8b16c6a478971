// Everything that a script needs: `#load "prelude.fsx"`, then `open LmcDsl`.
#r "nuget: LmcDsl"

// Numbers in titles and tables are written alike whatever the language of the machine.
System.Globalization.CultureInfo.DefaultThreadCurrentCulture <- System.Globalization.CultureInfo.InvariantCulture
System.Globalization.CultureInfo.CurrentCulture <- System.Globalization.CultureInfo.InvariantCulture
