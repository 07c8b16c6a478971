namespace LmcDsl

open System
open System.Collections
open System.Collections.Generic
open System.Globalization
open System.Reflection
open System.Security.Cryptography
open LmcDsl.Core.Architectures
open LmcDsl.Core.Runtime
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

    let private sizes (array: Array) =
        [ for k in 0 .. array.Rank - 1 -> string (array.GetLength k) ] |> String.concat " x "

    // What keys hold of data; of data that is not to be had here, its name.
    let private identity (data: DataSet) =
        try
            Json.text (DataSet.identity data)
        with :? LmcException ->
            data.Name

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

    // Those of the types that it derives from among them, which are their own alone.
    let private fieldsOf (value: obj) =
        let rec levels (kind: Type | null) =
            match kind with
            | null -> []
            | kind -> kind :: levels kind.BaseType

        [
            for kind in levels (value.GetType()) do
                for field in kind.GetFields(anywhere ||| BindingFlags.DeclaredOnly) do
                    if not (field.FieldType.IsPointer || field.FieldType = typeof<nativeint>) then
                        field.Name, field.GetValue value
        ]
        |> List.sortBy fst

    // What was looked at already, by number: members, and objects that may lead back to themselves.
    type private Seen = { Members: Dictionary<MemberInfo, int>; Objects: Dictionary<obj, int> }

    let private nothing () =
        {
            Members = Dictionary()
            Objects = Dictionary<obj, int>(ReferenceEqualityComparer.Instance)
        }

    let rec private text (seen: Seen) (depth: int) (value: obj | null) : string =
        match value with
        | null -> "none"
        | value when depth > deepest -> value.GetType().Name
        | :? string as words -> $"\"{words}\""
        | :? bool as yes -> string yes
        | :? IFormattable as number -> number.ToString(null, CultureInfo.InvariantCulture)
        | :? Array as numbers when numbers.Length > 0 && isPrimitive numbers ->
            let bytes = Array.zeroCreate<byte>(Buffer.ByteLength numbers)
            Buffer.BlockCopy(numbers, 0, bytes, 0, bytes.Length)
            let sides = sizes numbers
            $"{sides} numbers {hashed (ReadOnlySpan bytes)}"
        | :? torch.Tensor as numbers -> numbersOf numbers
        | :? ParameterSet as model -> parametersOf model
        | :? Network as network -> network.Architecture.ToJson()
        | :? DataSet as data -> identity data
        | :? MemberInfo as written -> WrittenCode.nameOf written
        | value -> composed seen depth value

    and private composed (seen: Seen) (depth: int) (value: obj) : string =
        let kind = value.GetType()
        let parts values = values |> Seq.map (text seen (depth + 1)) |> String.concat ", "

        match value with
        | value when isFunction value || WrittenCode.isInteractive kind.Assembly && isObject kind ->
            taken seen depth true value
        | :? Delegate as work ->
            let target = work.Target |> Option.ofObj |> Option.map (taken seen depth true) |> Option.defaultValue ""
            $"{target}; {code seen (depth + 1) work.Method}"
        | :? Array as items when items.Rank > 1 -> $"{sizes items} [{parts (Seq.cast<obj> items)}]"
        | :? IEnumerable as items when isCollection kind -> $"[{parts (Seq.cast<obj> items)}]"
        | _ when kind.IsGenericType && kind.GetGenericTypeDefinition() = typedefof<KeyValuePair<_, _>> ->
            parts [ for property in kind.GetProperties() -> property.GetValue value ]
        | _ when FSharpType.IsTuple kind -> $"({parts (FSharpValue.GetTupleFields value)})"
        | _ when FSharpType.IsRecord(kind, anywhere) ->
            $"{{{parts (FSharpValue.GetRecordFields(value, anywhere))}}}{membersOf seen depth kind}"
        | _ when FSharpType.IsUnion(kind, anywhere) ->
            let case, fields = FSharpValue.GetUnionFields(value, kind, anywhere)
            $"{case.Name}({parts fields}){membersOf seen depth kind}"
        // Of any other object what it is made of: options of searches, merges and trainings, sequences that are not begun, patterns.
        | value ->
            match seen.Objects.TryGetValue value with
            | true, number -> $"again {number}"
            | _ ->
                seen.Objects.Add(value, seen.Objects.Count)
                let own = [ for name, part in fieldsOf value -> $"{name} = {text seen (depth + 1) part}" ]
                $"""{kind.Name} {{{String.concat "; " own}}}"""

    // What a script's record or union does for others, which call it by an interface.
    and private membersOf seen (depth: int) (kind: Type) : string =
        let isScripts (face: Type) = WrittenCode.isInteractive face.Assembly

        if kind.GetInterfaces() |> Array.exists isScripts then
            $" {code seen (depth + 1) kind}"
        else
            ""

    // What a function took and what it does. `inScript` is whether a script's function found it: else, of the library's own, only what scripts
    // gave them to call.
    and private taken (seen: Seen) (depth: int) (inScript: bool) (work: obj) : string =
        let inScript = inScript || work.GetType().Assembly <> ours

        [
            for name, value in fieldsOf work do
                match value with
                | null -> ()
                | value when isFunction value ->
                    match taken seen (depth + 1) inScript value with
                    | "" -> ()
                    | inner -> $"{name}: ({inner})"
                | value when inScript -> $"{name} = {text seen (depth + 1) value}"
                | _ -> ()

            match code seen (depth + 1) (work.GetType()) with
            | "" -> ()
            | code -> code
        ]
        |> String.concat "; "

    and private code (seen: Seen) (depth: int) (written: MemberInfo) : string =
        if isOthers written then
            let all = WrittenCode.from (text seen depth) seen.Members written |> Text.Encoding.UTF8.GetBytes
            $"code {hashed (ReadOnlySpan all)}"
        else
            ""

    /// What a function does and the values that it took, as a text that is the same where they are; empty where it is the library's and took
    /// none.
    let by (work: obj) : string = taken (nothing ()) 0 false work

    /// What a type's methods do; empty where it is the library's.
    let ofType (kind: Type) : string = code (nothing ()) 0 kind
