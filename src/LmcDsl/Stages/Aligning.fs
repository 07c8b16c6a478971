namespace LmcDsl

open LmcDsl.Core.Matching
open LmcDsl.Core.Merging
open LmcDsl.Core.Runtime

/// Stages that permute the members of a population.
[<AutoOpen>]
module Aligning =

    let private permute (context: OpContext) =
        match context.Inputs with
        | [ Parameters model; Document alignment ] ->
            let index = context.Args.TryItem "model" |> Option.map _.Int
            let found = Alignments.permutations model.Network index alignment

            match context.Args.TryItem "firstGroups" with
            | Some groups -> Parameters((PartialAlignment.First(found, groups.Int)).Apply model)
            | None -> Parameters(found.Apply model)
        | _ -> raise (LmcException "permute: expected a model and an alignment")

    let private op = Op.make "permute" 1 0.5 permute

    let private turn (context: OpContext) =
        let models =
            context.Inputs
            |> List.choose (function
                | Parameters model -> Some model
                | Document _ -> None)

        match models, Value.documents context with
        | model :: reference :: others, [ alignment ] ->
            let own =
                match context.Args.TryItem "model" with
                | Some index -> alignment["models"].Items[index.Int]
                | None -> alignment

            let network = RotatedMatching.NetworkOf(List.toArray (reference :: model :: others))
            use found = Alignments.transformation network own
            Parameters(RotatedMatching.Apply(reference, model, found, List.toArray others))
        | _ -> raise (LmcException "turn: expected a model, an alignment and the reference")

    let private turnOp = Op.make "turn" 1 0.5 turn

    // What a stage would lose that comes after the mean was taken.
    let internal beforeMerging (stage: string) (population: Population) =
        if population.Merged.IsSome then
            raise (
                LmcException
                    $"{stage}: expected before mergeN, which takes the mean of what is aligned by then; found after it. Write train >> {stage} ... >> mergeN n >> measure ..."
            )

    let internal withLabel name value (population: Population) =
        { population with
            Labels = (population.Labels |> List.filter (fun (other, _) -> other <> name)) @ [ name, value ]
        }

    /// Gives every row that is measured on a population a label, for example `labelled "network" "VGG11"`.
    /// Raises `LmcException` where it has one of that name with another value.
    let labelled (name: string) (value: string) (population: Population) : Population =
        Report.requireLabel "labelled" name

        match population.Labels |> List.tryFind (fst >> (=) name) with
        | Some(_, other) when other <> value ->
            raise (LmcException $"labelled: expected one value of '{name}', found '{other}' and '{value}'")
        | _ -> withLabel name value population

    // Aligned once more, the rows say by what, one after another; no one search then stands behind the members.
    let private alignedBy stage name members alignment (population: Population) =
        beforeMerging stage population

        let earlier =
            if population.Aligned then
                population.Labels |> List.tryFind (fst >> (=) Report.searchLabel) |> Option.map snd
            else
                None

        { population with
            Member = members
            Aligned = true
            Alignment = if population.Aligned then None else alignment
        }
        |> withLabel
            Report.searchLabel
            (earlier |> Option.map (fun first -> $"{first}, then {name}") |> Option.defaultValue name)

    let private alignedTo stage name (args: Args) words (search: Search) (population: Population) : Population =
        let reference = population.Member 0
        let found index = Search.plan population search reference (population.Member index) $"{index} to 0"

        let aligned index : Plan<Model> =
            if index = 0 then
                reference
            else
                let inputs = [ Plan.node (population.Member index); Plan.node (found index) ]

                if search.Turns then
                    if args.Json <> Args.none.Json then
                        raise (
                            LmcException
                                $"{stage}: {search.Name} turns all groups together, expected a search for permutations; align takes it"
                        )

                    Plan.make turnOp $"turn {index}" Args.none (inputs @ [ Plan.node reference ])
                else
                    Plan.make op $"permute {index}{words}" args inputs

        // Of a part of what was found, or of rotations, no permutations of the search's own stand behind the members.
        let isWhole = not search.Turns && args.Json = Args.none.Json
        population |> alignedBy stage name aligned (if isWhole then Some found else None)

    /// Permutes every member so that it lies nearest to member 0, which stays as it is; tables call the search by this name.
    let alignAs (name: string) (search: Search) (population: Population) : Population =
        alignedTo "alignAs" name Args.none "" search population

    /// Permutes every member so that it lies nearest to member 0, which stays as it is.
    let align (search: Search) (population: Population) : Population =
        alignedTo "align" (Search.title search) Args.none "" search population

    /// Permutes the units of the first groups only, of what a search finds for all: partial alignment, layer by layer, as `describe` lists
    /// the groups. Raises `LmcException` for a number below 0, and later where the network has fewer groups.
    let alignFirst (groups: int) (search: Search) (population: Population) : Population =
        if groups < 0 then
            raise (LmcException $"alignFirst: expected 0 or more groups, found {groups}")

        let args = Args.ofFields [ "firstGroups", Json.int (int64 groups) ]
        let name = $"{Search.title search}, first {groups} groups"
        alignedTo "alignFirst" name args $", first {groups} groups" search population

    /// Permutes every member as the members of another population were, which were aligned one by one: whether the permutations of one
    /// training serve the models of another. Rows are labelled with that population's search, and `found on` says where it was found.
    /// Raises `LmcException` where that population was not aligned one by one, by permutations of all groups.
    let alignLike (foundOn: string) (source: Population) (population: Population) : Population =
        match source.Alignment, source.Labels |> List.tryFind (fst >> (=) Report.searchLabel) with
        | Some found, Some(_, search) ->
            let reference = population.Member 0

            let aligned index : Plan<Model> =
                if index = 0 then
                    reference
                else
                    let inputs = [ Plan.node (population.Member index); Plan.node (found index) ]
                    Plan.make op $"permute {index}" Args.none inputs

            population |> withLabel "found on" foundOn |> alignedBy "alignLike" search aligned (Some found)
        | _ ->
            raise (
                LmcException
                    "alignLike: expected a population aligned one by one by a search for permutations (`align` before it), found another"
            )

    /// Permutes members 0 .. n-1, all matched together, so that maps between any two compose without error. Member 0 stays as
    /// it is. Raises `LmcException` for n below 2, and later where a member past these is asked for.
    let alignAll (n: int) (search: JointSearch) (population: Population) : Population =
        if n < 2 then
            raise (LmcException $"alignAll: expected 2 or more models, found {n}")

        let models = [ for index in 0 .. n - 1 -> Plan.node (population.Member index) ]

        let found: Plan<Alignment> =
            Plan.make search.Op (search.Title n) (Args.ofFields [ "options", search.Options ]) models

        let aligned index : Plan<Model> =
            if index >= n then
                raise (
                    LmcException $"alignAll {n}: only members 0..{n - 1} are aligned, found member {index} asked for"
                )
            elif index = 0 then
                population.Member 0
            else
                let args = Args.ofFields [ "model", Json.int (int64 index) ]

                if search.Turns then
                    let others = models |> List.removeAt index |> List.tail
                    Plan.make turnOp $"turn {index}" args (models[index] :: Plan.node found :: models[0] :: others)
                else
                    Plan.make op $"permute {index}" args [ models[index]; Plan.node found ]

        population |> alignedBy "alignAll" search.Name aligned None
