namespace LmcDsl

open System.Reflection

/// What the library itself defines as values of its modules, found by their type: so a new one needs no list.
[<RequireQualifiedAccess>]
module internal Defined =

    /// Every value of that type in a module of this assembly, by the modules' names; private ones too where asked for.
    let all<'value> (alsoPrivate: bool) : 'value list =
        let hidden = if alsoPrivate then BindingFlags.NonPublic else BindingFlags.Default

        [
            for found in Assembly.GetExecutingAssembly().GetTypes() |> Array.sortBy _.FullName do
                if found.IsAbstract && found.IsSealed && not found.IsGenericTypeDefinition then
                    for property in found.GetProperties(BindingFlags.Static ||| BindingFlags.Public ||| hidden) do
                        if property.PropertyType = typeof<'value> then
                            match property.GetValue null with
                            | null -> ()
                            | value -> unbox<'value> value
        ]
