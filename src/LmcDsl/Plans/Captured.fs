namespace LmcDsl

open System
open System.Collections
open System.Collections.Generic
open System.Globalization
open System.Reflection
open System.Security.Cryptography
open Microsoft.FSharp.Reflection

/// What a function that a script wrote took from around it: `fun a b -> power p a b` takes `p`. Keys hold it, since it changes values.
[<RequireQualifiedAccess>]
module internal Captured =

    let private deepest = 8
    let private anywhere = BindingFlags.Instance ||| BindingFlags.Public ||| BindingFlags.NonPublic

    // The library's own functions are told apart by names and versions; what they take is in their arguments.
    let private ours = typeof<Quantity>.Assembly

    let private isFunction (value: obj) =
        let rec derives (kind: Type | null) =
            match kind with
            | null -> false
            | kind when kind.IsGenericType && kind.GetGenericTypeDefinition() = typedefof<FSharpFunc<_, _>> -> true
            | kind -> derives kind.BaseType

        derives (value.GetType())

    let private isPrimitive (numbers: Array) =
        match numbers.GetType().GetElementType() with
        | null -> false
        | kind -> kind.IsPrimitive

    let private fieldsOf (value: obj) =
        [
            for field in value.GetType().GetFields anywhere do
                field.Name, field.GetValue value
        ]
        |> List.sortBy fst

    let rec private text (depth: int) (value: obj | null) : string =
        match value with
        | null -> "none"
        | value when depth > deepest -> value.GetType().Name
        | :? string as words -> $"\"{words}\""
        | :? bool as yes -> string yes
        | :? IFormattable as number -> number.ToString(null, CultureInfo.InvariantCulture)
        | :? Array as numbers when numbers.Length > 0 && isPrimitive numbers ->
            let bytes = Array.zeroCreate<byte>(Buffer.ByteLength numbers)
            Buffer.BlockCopy(numbers, 0, bytes, 0, bytes.Length)
            $"{numbers.Length} numbers {Convert.ToHexStringLower(SHA256.HashData bytes)}"
        | value -> composed depth value

    and private composed (depth: int) (value: obj) : string =
        let kind = value.GetType()
        let parts values = values |> Seq.map (text (depth + 1)) |> String.concat ", "

        match value with
        | value when isFunction value -> taken depth value
        | :? IEnumerable as items when kind.IsArray || kind.Namespace = "Microsoft.FSharp.Collections" ->
            $"[{parts (Seq.cast<obj> items)}]"
        | _ when kind.IsGenericType && kind.GetGenericTypeDefinition() = typedefof<KeyValuePair<_, _>> ->
            parts [ for property in kind.GetProperties() -> property.GetValue value ]
        | _ when FSharpType.IsTuple kind -> $"({parts (FSharpValue.GetTupleFields value)})"
        | _ when FSharpType.IsRecord(kind, anywhere) -> $"{{{parts (FSharpValue.GetRecordFields(value, anywhere))}}}"
        | _ when FSharpType.IsUnion(kind, anywhere) ->
            let case, fields = FSharpValue.GetUnionFields(value, kind, anywhere)
            $"{case.Name}({parts fields})"
        | _ -> kind.Name // an object of which nothing is known but its kind

    // Of the library's functions what scripts gave them to call, of others all.
    and private taken (depth: int) (work: obj) : string =
        [
            for name, value in fieldsOf work do
                match value with
                | null -> ()
                | value when isFunction value ->
                    match taken (depth + 1) value with
                    | "" -> ()
                    | inner -> $"{name}: ({inner})"
                | value when work.GetType().Assembly <> ours -> $"{name} = {text (depth + 1) value}"
                | _ -> ()
        ]
        |> String.concat "; "

    /// The values that a function took, as a text that is the same where they are; empty where it took none.
    let by (work: obj) : string = taken 0 work
