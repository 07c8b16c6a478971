namespace LmcDsl

open System
open System.Collections.Generic
open System.Reflection
open System.Text.RegularExpressions

/// What a script's functions do, as a text: their instructions, those of what they call of the same script, and the values that they find there.
/// Comments, names, and where the code stands are not in it, nor is what packages do, which are known by name alone.
[<RequireQualifiedAccess>]
module internal WrittenCode =

    let private everything =
        BindingFlags.Instance
        ||| BindingFlags.Static
        ||| BindingFlags.Public
        ||| BindingFlags.NonPublic
        ||| BindingFlags.DeclaredOnly

    // F# Interactive puts each part of a script into an assembly and a module of its own, by number; functions without a name are called
    // after their line.
    let private places = Regex @"FSI_\d+|@\d+(-\d+)?"

    /// What a member is called wherever it stands.
    let nameOf (found: MemberInfo) =
        match found with
        | :? Type as found -> places.Replace(string found, "_")
        | found -> places.Replace($"{found.DeclaringType} {found}", "_")

    /// Whether an assembly is of what was given to F# Interactive.
    let isInteractive (assembly: Assembly) : bool = (string assembly.FullName).StartsWith "FSI-ASSEMBLY"

    let private isOpen (field: FieldInfo) =
        match field.DeclaringType with
        | null -> false
        | owner -> owner.ContainsGenericParameters

    // The exception of what matches nothing is made of the file, the line and the column, in three instructions before it.
    let private withoutPlaces (instructions: Instruction list) =
        let tellsPlace (instruction: Instruction) =
            match instruction.Member with
            | Some(:? ConstructorInfo as made) -> made.DeclaringType = typeof<MatchFailureException>
            | _ -> false

        let rec keep kept backwards =
            match backwards with
            | made :: _column :: _line :: _file :: before when tellsPlace made -> keep (made :: kept) before
            | other :: before -> keep (other :: kept) before
            | [] -> kept

        keep [] (List.rev instructions)

    /// The instructions of a method, or of all methods of a type, and of all that they call of its own assembly, or of F# Interactive's. `value` says
    /// what a value is that is found by name; `seen` has the numbers of the members that were looked at already.
    let from (value: obj | null -> string) (seen: Dictionary<MemberInfo, int>) (written: MemberInfo) : string =
        let home = written.Module.Assembly
        let lines = List<string>()
        let waiting = Queue<MemberInfo>()

        let follows (found: MemberInfo) =
            let assembly = found.Module.Assembly
            assembly = home || isInteractive home && isInteractive assembly

        // What is followed is told by its number, so that a name changes nothing; but a type, a field of an object, and a method that others fill
        // in have nothing that is looked at, so that a number would not tell one from another.
        let mention (found: MemberInfo) =
            if not (follows found) then
                nameOf found
            else
                if seen.TryAdd(found, seen.Count) then
                    waiting.Enqueue found

                match found with
                | :? MethodBase as method when not (isNull (method.GetMethodBody())) -> $"#{seen[found]}"
                | :? FieldInfo as field when field.IsStatic -> $"#{seen[found]}"
                | _ ->
                    let name = places.Replace(found.Name, "_")
                    $"#{seen[found]} {name}"

        let rec methodsOf (owner: Type) =
            match owner.BaseType with
            | NonNull parent when follows parent -> methodsOf parent
            | _ -> ()

            for method in owner.GetMethods everything |> Array.sortBy _.MetadataToken do
                lines.Add(mention method)

        let look (found: MemberInfo) =
            match found with
            | :? FieldInfo as field when field.IsStatic && not (isOpen field) ->
                lines.Add $"{mention field} = {value (field.GetValue null)}"
            | :? MethodBase as method ->
                lines.Add $"{mention method}:"

                for instruction in withoutPlaces (Instructions.ofMethod method) do
                    match instruction.Member with
                    | None -> lines.Add $"{instruction.Name} {instruction.Operand}"
                    | Some found ->
                        lines.Add $"{instruction.Name} {mention found}"

                        // What is made may be called by others, which know it by another type.
                        match found, found.DeclaringType with
                        | :? ConstructorInfo, NonNull owner when follows owner -> methodsOf owner
                        | _ -> ()
            | _ -> ()

        match written with
        | :? Type as written -> methodsOf written
        | method -> lines.Add(mention method)

        while waiting.Count > 0 do
            look (waiting.Dequeue())

        String.Join('\n', lines)
