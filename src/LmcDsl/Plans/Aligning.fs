namespace LmcDsl

open LmcDsl.Core.Runtime

/// Stages that permute the members of a population.
[<AutoOpen>]
module Aligning =

    let rec internal searchPlan
        (population: Population)
        search
        (reference: Plan<Model>)
        (other: Plan<Model>)
        title
        : Plan<Alignment> =
        let describe search (start: Node list) : Plan<Alignment> =
            let inputs = [ Plan.node reference; Plan.node other ] @ start
            let onTraining options = onData population "train" [ "options", options ]
            let plain options = Json.Object [ "options", options ]

            match search with
            | Search.ActivationMatching options ->
                let args = onTraining (Json.ofValue options)
                Plan.make ("activationMatching", 2) $"match activations of {title}" args inputs
            | Search.StraightThrough options ->
                let args = onTraining (Json.ofValue options)
                Plan.make ("straightThrough", 3) $"straight-through search of {title}" args inputs
            | Search.SinkhornStraightThrough options ->
                let args = onTraining (Json.ofValue options)
                Plan.make ("sinkhornStraightThrough", 2) $"straight-through Sinkhorn search of {title}" args inputs
            | Search.Sinkhorn options ->
                let args = plain (Json.ofValue options)
                Plan.make ("sinkhornMatching", 2) $"match weights of {title} by Sinkhorn" args inputs
            | Search.WeightMatching options ->
                let args = plain (Json.ofValue options)
                Plan.make ("weightMatching", 2) $"match weights of {title}" args inputs
            | Search.From _ -> invalidOp "unfolded before"

        match search with
        | Search.From(_, Search.ActivationMatching _) ->
            raise (
                LmcException "startingFrom: activation matching has no start, since its answer does not depend on one"
            )
        | Search.From(start, Search.From(middle, last)) ->
            searchPlan population (Search.From(Search.From(start, middle), last)) reference other title
        | Search.From(start, search) ->
            describe search [ Plan.node (searchPlan population start reference other title) ]
        | search -> describe search []

    let private withLabel name value (population: Population) =
        { population with
            Labels = (population.Labels |> List.filter (fun (other, _) -> other <> name)) @ [ name, value ]
        }

    /// Gives every row that is measured on a population a label, for example `labelled "network" "VGG11"`.
    let labelled (name: string) (value: string) (population: Population) : Population = withLabel name value population

    let private alignedBy name members alignment (population: Population) =
        { population with
            Member = members
            Aligned = true
            Alignment = alignment
            Merged = None
            MergedAsTrained = None
        }
        |> withLabel Report.searchLabel name

    /// Permutes every member so that it lies nearest to member 0, which stays as it is; tables call the search by this name.
    let alignAs (name: string) (search: Search) (population: Population) : Population =
        let reference = population.Member 0
        let found index = searchPlan population search reference (population.Member index) $"{index} to 0"

        let aligned index : Plan<Model> =
            if index = 0 then
                reference
            else
                let inputs = [ Plan.node (population.Member index); Plan.node (found index) ]
                Plan.make ("permute", 1) $"permute {index}" (Json.Object []) inputs

        population |> alignedBy name aligned (Some found)

    /// Permutes every member so that it lies nearest to member 0, which stays as it is.
    let align (search: Search) (population: Population) : Population = alignAs search.Name search population

    /// Permutes members 0 .. n-1, all matched together, so that maps between any two compose without error. Member 0 stays as
    /// it is. Raises `LmcException` for n below 2, and later where a member past these is asked for.
    let alignAll (n: int) (search: JointSearch) (population: Population) : Population =
        if n < 2 then
            raise (LmcException $"alignAll: expected 2 or more models, found {n}")

        let models = [ for index in 0 .. n - 1 -> Plan.node (population.Member index) ]

        let found: Plan<Alignment> =
            match search with
            | JointSearch.MergeMany options ->
                Plan.make
                    ("mergeMany", 2)
                    $"match {n} models in turn"
                    (Json.Object [ "options", Json.ofValue options ])
                    models
            | JointSearch.Universe options ->
                let args = Json.Object [ "options", Json.ofValue options ]
                Plan.make ("universeMatching", 2) $"match {n} models to a universe" args models

        let aligned index : Plan<Model> =
            if index >= n then
                raise (
                    LmcException $"alignAll {n}: only members 0..{n - 1} are aligned, found member {index} asked for"
                )
            elif index = 0 then
                population.Member 0
            else
                let args = Json.Object [ "model", Json.int (int64 index) ]
                Plan.make ("permute", 1) $"permute {index}" args [ models[index]; Plan.node found ]

        population |> alignedBy search.Name aligned None
