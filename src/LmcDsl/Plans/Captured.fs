namespace LmcDsl

open System
open System.Collections
open System.Collections.Generic
open System.Globalization
open System.Reflection
open System.Security.Cryptography
open LmcDsl.Core.Architectures
open Microsoft.FSharp.Reflection
open TorchSharp

/// What a function that a script wrote does, and what it took from around it: `fun a b -> power p a b` takes `p`. Keys hold both, since they
/// change values.
[<RequireQualifiedAccess>]
module internal Captured =

    let private deepest = 8
    let private anywhere = BindingFlags.Instance ||| BindingFlags.Public ||| BindingFlags.NonPublic

    // The library's own functions are told apart by names and versions; what they take is in their arguments.
    let private ours = typeof<Quantity>.Assembly
    let private known = [ ours; typeof<Layer>.Assembly; typeof<FSharpFunc<_, _>>.Assembly ]
    let private isOthers (written: MemberInfo) = not (List.contains written.Module.Assembly known)

    let private isFunction (value: obj) =
        let rec derives (kind: Type | null) =
            match kind with
            | null -> false
            | kind when kind.IsGenericType && kind.GetGenericTypeDefinition() = typedefof<FSharpFunc<_, _>> -> true
            | kind -> derives kind.BaseType

        derives (value.GetType())

    // Neither a list, a tuple, a record nor a union, of which more can be said.
    let private isObject (kind: Type) =
        not (
            kind.IsArray
            || kind.IsEnum
            || FSharpType.IsTuple kind
            || FSharpType.IsRecord(kind, anywhere)
            || FSharpType.IsUnion(kind, anywhere)
        )

    // Lists, sets, maps and their like; a sequence without a count may have no end.
    let private isCollection (kind: Type) =
        kind.IsArray
        || kind.GetInterfaces()
           |> Array.exists (fun face ->
               face.IsGenericType
               && List.contains (face.GetGenericTypeDefinition()) [
                   typedefof<IReadOnlyCollection<_>>
                   typedefof<ICollection<_>>
               ])

    let private isPrimitive (numbers: Array) =
        match numbers.GetType().GetElementType() with
        | null -> false
        | kind -> kind.IsPrimitive

    let private hashed (bytes: byte ReadOnlySpan) = Convert.ToHexStringLower(SHA256.HashData bytes)

    let private numbersOf (tensor: torch.Tensor) =
        if tensor.IsInvalid then
            "a tensor that is gone"
        else
            use _ = torch.NewDisposeScope()
            let shape = tensor.shape |> Seq.map string |> String.concat " x "
            let numbers = hashed (Span.op_Implicit (tensor.detach().cpu().contiguous().bytes))
            $"{tensor.dtype} {shape} {numbers}"

    let private parametersOf (model: ParameterSet) =
        let names = [ for one in model.Network.Parameters -> $"{one.Name} {one.Count}" ] |> String.concat ", "
        $"{names}: {numbersOf model.Flat}"

    let private fieldsOf (value: obj) =
        [
            for field in value.GetType().GetFields anywhere do
                field.Name, field.GetValue value
        ]
        |> List.sortBy fst

    let rec private text (seen: Dictionary<MemberInfo, int>) (depth: int) (value: obj | null) : string =
        match value with
        | null -> "none"
        | value when depth > deepest -> value.GetType().Name
        | :? string as words -> $"\"{words}\""
        | :? bool as yes -> string yes
        | :? IFormattable as number -> number.ToString(null, CultureInfo.InvariantCulture)
        | :? Array as numbers when numbers.Length > 0 && isPrimitive numbers ->
            let bytes = Array.zeroCreate<byte>(Buffer.ByteLength numbers)
            Buffer.BlockCopy(numbers, 0, bytes, 0, bytes.Length)
            $"{numbers.Length} numbers {hashed (ReadOnlySpan bytes)}"
        | :? torch.Tensor as numbers -> numbersOf numbers
        | :? ParameterSet as model -> parametersOf model
        | value -> composed seen depth value

    and private composed seen (depth: int) (value: obj) : string =
        let kind = value.GetType()
        let parts values = values |> Seq.map (text seen (depth + 1)) |> String.concat ", "

        match value with
        | value when isFunction value || WrittenCode.isInteractive kind.Assembly && isObject kind ->
            taken seen depth value
        | :? Delegate as work ->
            let target = work.Target |> Option.ofObj |> Option.map (taken seen depth) |> Option.defaultValue ""
            $"{target}; {code seen (depth + 1) work.Method}"
        | :? IEnumerable as items when isCollection kind -> $"[{parts (Seq.cast<obj> items)}]"
        | _ when kind.IsGenericType && kind.GetGenericTypeDefinition() = typedefof<KeyValuePair<_, _>> ->
            parts [ for property in kind.GetProperties() -> property.GetValue value ]
        | _ when FSharpType.IsTuple kind -> $"({parts (FSharpValue.GetTupleFields value)})"
        | _ when FSharpType.IsRecord(kind, anywhere) -> $"{{{parts (FSharpValue.GetRecordFields(value, anywhere))}}}"
        | _ when FSharpType.IsUnion(kind, anywhere) ->
            let case, fields = FSharpValue.GetUnionFields(value, kind, anywhere)
            $"{case.Name}({parts fields})"
        | _ -> kind.Name // an object of which nothing is known but its kind

    // Of the library's functions what scripts gave them to call, of others all, and what they do.
    and private taken seen (depth: int) (work: obj) : string =
        [
            for name, value in fieldsOf work do
                match value with
                | null -> ()
                | value when isFunction value ->
                    match taken seen (depth + 1) value with
                    | "" -> ()
                    | inner -> $"{name}: ({inner})"
                | value when work.GetType().Assembly <> ours -> $"{name} = {text seen (depth + 1) value}"
                | _ -> ()

            match code seen (depth + 1) (work.GetType()) with
            | "" -> ()
            | code -> code
        ]
        |> String.concat "; "

    and private code seen (depth: int) (written: MemberInfo) : string =
        if isOthers written then
            let all = WrittenCode.from (text seen depth) seen written |> Text.Encoding.UTF8.GetBytes
            $"code {hashed (ReadOnlySpan all)}"
        else
            ""

    /// What a function does and the values that it took, as a text that is the same where they are; empty where it is the library's and took
    /// none.
    let by (work: obj) : string = taken (Dictionary()) 0 work

    /// What a type's methods do; empty where it is the library's.
    let ofType (kind: Type) : string = code (Dictionary()) 0 kind
