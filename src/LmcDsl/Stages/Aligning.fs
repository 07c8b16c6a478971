namespace LmcDsl

open LmcDsl.Core.Runtime

/// Stages that permute the members of a population.
[<AutoOpen>]
module Aligning =

    let private permute (context: OpContext) =
        match context.Inputs with
        | [ Parameters model; Document alignment ] ->
            let index = context.Args.TryItem "model" |> Option.map _.Int
            Parameters((Alignments.permutations model.Network index alignment).Apply model)
        | _ -> raise (LmcException "permute: expected a model and an alignment")

    let private op = Op.make "permute" 1 0.5 permute

    // What a stage would lose that comes after the mean was taken.
    let internal beforeMerging (stage: string) (population: Population) =
        if population.Merged.IsSome then
            raise (
                LmcException
                    $"{stage}: expected before mergeN, which takes the mean of what is aligned by then; found after it. Write train >> {stage} ... >> mergeN n >> measure ..."
            )

    let private withLabel name value (population: Population) =
        { population with
            Labels = (population.Labels |> List.filter (fun (other, _) -> other <> name)) @ [ name, value ]
        }

    /// Gives every row that is measured on a population a label, for example `labelled "network" "VGG11"`.
    let labelled (name: string) (value: string) (population: Population) : Population = withLabel name value population

    let private alignedBy stage name members alignment (population: Population) =
        beforeMerging stage population

        { population with Member = members; Aligned = true; Alignment = alignment }
        |> withLabel Report.searchLabel name

    /// Permutes every member so that it lies nearest to member 0, which stays as it is; tables call the search by this name.
    let alignAs (name: string) (search: Search) (population: Population) : Population =
        let reference = population.Member 0
        let found index = Search.plan population search reference (population.Member index) $"{index} to 0"

        let aligned index : Plan<Model> =
            if index = 0 then
                reference
            else
                let inputs = [ Plan.node (population.Member index); Plan.node (found index) ]
                Plan.make op $"permute {index}" Args.none inputs

        population |> alignedBy "align" name aligned (Some found)

    /// Permutes every member so that it lies nearest to member 0, which stays as it is.
    let align (search: Search) (population: Population) : Population = alignAs (Search.title search) search population

    /// Permutes every member as the members of another population were, which were aligned one by one: whether the permutations of one
    /// training serve the models of another. Rows are labelled with that population's search, and `found on` says where it was found.
    /// Raises `LmcException` where that population was not aligned one by one.
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
                LmcException "alignLike: expected a population aligned one by one (`align` before it), found another"
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
                Plan.make op $"permute {index}" args [ models[index]; Plan.node found ]

        population |> alignedBy "alignAll" search.Name aligned None
