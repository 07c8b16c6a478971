namespace LmcDsl

open System
open System.Reflection
open System.Reflection.Emit

/// One instruction of a method of .NET.
type internal Instruction =
    {
        /// Its name, for example `ldsfld`.
        Name: string
        /// A number or jump that stands in it, in hexadecimal, or a text that it loads; empty where there is none.
        Operand: string
        /// The method, field or type that it names.
        Member: MemberInfo option
    }

/// Reading methods' bodies, as ECMA-335 has them (partition III; operands by `System.Reflection.Emit.OpCodes`).
[<RequireQualifiedAccess>]
module internal Instructions =

    let private codes =
        dict [
            for field in typeof<OpCodes>.GetFields(BindingFlags.Public ||| BindingFlags.Static) do
                match field.GetValue null with
                | :? OpCode as code -> uint16 code.Value, code
                | _ -> ()
        ]

    let private types (found: Type | null) =
        match found with
        | null -> [||]
        | found when found.IsGenericType -> found.GetGenericArguments()
        | _ -> [||]

    /// A method's instructions; none where it has no body that can be read.
    let ofMethod (method: MethodBase) : Instruction list =
        let ofType = types method.DeclaringType
        let ofMethod = if method.IsGenericMethod then method.GetGenericArguments() else [||]

        let parse (body: byte[]) =
            let rec from (at: int) found =
                if at >= body.Length then
                    List.rev found
                else
                    let number, start =
                        if body[at] = 0xFEuy then
                            0xFE00us ||| uint16 body[at + 1], at + 2
                        else
                            uint16 body[at], at + 1

                    let code = codes[number]
                    let raw length = Convert.ToHexStringLower(body, start, length)
                    let token () = BitConverter.ToInt32(body, start)

                    let operand, named, length =
                        match code.OperandType with
                        | OperandType.InlineNone -> "", None, 0
                        | OperandType.ShortInlineBrTarget
                        | OperandType.ShortInlineI
                        | OperandType.ShortInlineVar -> raw 1, None, 1
                        | OperandType.InlineVar -> raw 2, None, 2
                        | OperandType.InlineI8
                        | OperandType.InlineR -> raw 8, None, 8
                        | OperandType.InlineSwitch ->
                            let length = 4 + 4 * token ()
                            raw length, None, length
                        | OperandType.InlineString -> method.Module.ResolveString(token ()), None, 4
                        | OperandType.InlineMethod
                        | OperandType.InlineField
                        | OperandType.InlineType
                        | OperandType.InlineTok ->
                            "", Option.ofObj (method.Module.ResolveMember(token (), ofType, ofMethod)), 4
                        | OperandType.InlineSig -> "", None, 4 // a token, which says nothing by itself
                        | _ -> raw 4, None, 4

                    from (start + length) ({ Name = string code.Name; Operand = operand; Member = named } :: found)

            from 0 []

        match method.GetMethodBody() with
        | null -> []
        | body ->
            match body.GetILAsByteArray() with
            | null -> []
            | body -> parse body
