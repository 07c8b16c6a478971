namespace LmcDsl

open System
open System.Globalization
open System.Text.Json
open System.Text.Json.Nodes
open System.Text.Json.Serialization
open LmcDsl.Core.Runtime

/// A JSON value, compared by content. Its canonical text, `Json.text`, has one spelling for each value: keys in ordinal
/// order, no white space, numbers in their shortest form. What is hashed, compared or stored is spelled that way; never
/// `%A`, which shortens long lists.
[<RequireQualifiedAccess; CustomEquality; NoComparison>]
type Json =
    | Null
    | Bool of bool
    /// The number's text, as JSON spells it.
    | Number of string
    | Text of string
    | Array of Json list
    /// Fields in the order in which they were given; equal whatever the order.
    | Object of (string * Json) list

    /// A field of an object. Raises `LmcException` where there is none of that name.
    member this.Item
        with get (name: string): Json =
            match this with
            | Json.Object fields ->
                match List.tryFind (fun (key, _) -> key = name) fields with
                | Some(_, value) -> value
                | None ->
                    let known = String.Join(", ", List.map fst fields)
                    raise (LmcException $"JSON: expected a field '{name}', found {known}")
            | other -> raise (other.Unexpected $"an object with a field '{name}'")

    /// A field of an object, where there is one of that name.
    member this.TryItem(name: string) : Json option =
        match this with
        | Json.Object fields -> fields |> List.tryFind (fun (key, _) -> key = name) |> Option.map snd
        | _ -> None

    /// The text of a text.
    member this.String =
        match this with
        | Json.Text value -> value
        | other -> raise (other.Unexpected "a text")

    /// The value of a number; `NaN` and `Infinity`, which JSON lacks, are texts.
    member this.Float =
        match this with
        | Json.Number text -> Double.Parse(text, CultureInfo.InvariantCulture)
        | Json.Text("NaN" | "Infinity" | "-Infinity" as text) -> Double.Parse(text, CultureInfo.InvariantCulture)
        | other -> raise (other.Unexpected "a number")

    /// The value of a whole number.
    member this.Int64 =
        match this with
        | Json.Number text ->
            match Int64.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture) with
            | true, value -> value
            | _ -> raise (this.Unexpected "a whole number")
        | other -> raise (other.Unexpected "a whole number")

    /// The value of a whole number of 32 bits.
    member this.Int = int this.Int64

    /// The value of a truth value.
    member this.Boolean =
        match this with
        | Json.Bool value -> value
        | other -> raise (other.Unexpected "true or false")

    /// The items of an array.
    member this.Items =
        match this with
        | Json.Array items -> items
        | other -> raise (other.Unexpected "an array")

    member private this.Unexpected(expected: string) =
        let text = this.ToString()
        let shown = if text.Length > 80 then text.Substring(0, 77) + "..." else text
        LmcException $"JSON: expected {expected}, found {shown}"

    /// The canonical text.
    override this.ToString() =
        let buffer = Text.StringBuilder()
        let quote (text: string) = JsonSerializer.Serialize text

        let rec write json =
            match json with
            | Json.Null -> buffer.Append "null" |> ignore
            | Json.Bool value -> buffer.Append(if value then "true" else "false") |> ignore
            | Json.Number text -> buffer.Append text |> ignore
            | Json.Text text -> buffer.Append(quote text) |> ignore
            | Json.Array items ->
                buffer.Append '[' |> ignore

                items
                |> List.iteri (fun k item ->
                    if k > 0 then
                        buffer.Append ',' |> ignore

                    write item)

                buffer.Append ']' |> ignore
            | Json.Object fields ->
                buffer.Append '{' |> ignore

                fields
                |> List.sortWith (fun (a, _) (b, _) -> String.CompareOrdinal(a, b))
                |> List.iteri (fun k (name, value) ->
                    if k > 0 then
                        buffer.Append ',' |> ignore

                    buffer.Append(quote name).Append(':') |> ignore
                    write value)

                buffer.Append '}' |> ignore

        write this
        buffer.ToString()

    override this.Equals other =
        match other with
        | :? Json as json -> this.ToString() = json.ToString()
        | _ -> false

    override this.GetHashCode() = this.ToString().GetHashCode()

/// Making, reading and writing JSON.
[<RequireQualifiedAccess>]
module Json =

    // Canonical order puts a union's tag after other fields; numbers that JSON lacks are texts.
    let private web =
        JsonSerializerOptions(
            JsonSerializerDefaults.Web,
            AllowOutOfOrderMetadataProperties = true,
            NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals
        )

    // Every field of the type must be there, for numbers that are read to be those that were written.
    let private strict = JsonSerializerOptions(web, RespectRequiredConstructorParameters = true)

    /// The canonical text of a value.
    let text (json: Json) : string = json.ToString()

    /// A number.
    let float (value: float) : Json =
        if value = 0.0 then Json.Number "0" // also for -0
        elif Double.IsFinite value then Json.Number(Number.shortest value)
        else Json.Text(value.ToString CultureInfo.InvariantCulture)

    /// A whole number.
    let int (value: int64) : Json = Json.Number(value.ToString CultureInfo.InvariantCulture)

    let rec private ofElement (element: JsonElement) : Json =
        match element.ValueKind with
        | JsonValueKind.Object ->
            Json.Object [ for field in element.EnumerateObject() -> field.Name, ofElement field.Value ]
        | JsonValueKind.Array -> Json.Array [ for item in element.EnumerateArray() -> ofElement item ]
        | JsonValueKind.String -> Json.Text(string (element.GetString()))
        | JsonValueKind.Number ->
            let raw = element.GetRawText()

            match Int64.TryParse(raw, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture) with
            | true, value -> int value
            | _ -> float (element.GetDouble())
        | JsonValueKind.True -> Json.Bool true
        | JsonValueKind.False -> Json.Bool false
        | _ -> Json.Null

    /// Reads JSON text. Raises `LmcException` where it is not well formed.
    let parse (text: string) : Json =
        try
            use document = JsonDocument.Parse text
            ofElement document.RootElement
        with :? JsonException as error ->
            raise (LmcException($"JSON: expected well-formed text: {error.Message}", error))

    /// A .NET value, such as an option record of the core, as JSON.
    let ofValue (value: 'a) : Json = ofElement (JsonSerializer.SerializeToElement(value, web))

    /// A .NET value from what `ofValue` gave. Raises `LmcException` where it does not fit.
    let toValue<'a when 'a: not null and 'a: not struct> (json: Json) : 'a =
        try
            match JsonSerializer.Deserialize<'a>(text json, web) with
            | null -> raise (LmcException $"JSON: expected a {typeof<'a>.Name}, found null")
            | value -> value
        with :? JsonException as error ->
            raise (LmcException($"JSON: expected a {typeof<'a>.Name}: {error.Message}", error))

    /// A value of the type that `ofValue` wrote, with every field of it. Raises `LmcException` where it does not fit.
    let toExactly<'a> (json: Json) : 'a =
        try
            match JsonSerializer.Deserialize(text json, typeof<'a>, strict) with
            | null -> raise (LmcException $"JSON: expected a {typeof<'a>.Name}, found null")
            | value -> unbox<'a> value
        with
        | :? JsonException as error ->
            raise (LmcException($"JSON: expected a {typeof<'a>.Name}: {error.Message}", error))
        | :? NotSupportedException as error ->
            // What nobody else may make cannot be read back.
            raise (
                LmcException(
                    $"JSON: expected {typeof<'a>.Name} to be a public record of numbers, texts, lists and records",
                    error
                )
            )

    /// An array of whole numbers.
    let ints (values: int seq) : Json = Json.Array [ for value in values -> int (int64 value) ]

    /// An array of numbers.
    let floats (values: float seq) : Json = Json.Array [ for value in values -> float value ]

    /// An array of texts.
    let texts (values: string seq) : Json = Json.Array [ for value in values -> Json.Text value ]

    let rec private toNode (json: Json) : JsonNode | null =
        match json with
        | Json.Object fields ->
            let node = JsonObject()

            for name, value in fields do
                node.Add(name, toNode value)

            node
        | Json.Array items -> JsonArray(items |> List.map toNode |> List.toArray)
        | other -> JsonNode.Parse(text other)

    // Letters, signs and quotes as they are: what goes into a page is escaped there.
    let private people =
        JsonSerializerOptions(
            web,
            WriteIndented = true,
            Encoder = Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping
        )

    /// JSON for people: indented, fields in the order in which they were given.
    let indented (json: Json) : string =
        match toNode json with
        | null -> "null\n"
        | node -> node.ToJsonString people + "\n"
