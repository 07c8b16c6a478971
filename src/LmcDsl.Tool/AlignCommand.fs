namespace LmcDsl.Tool

open System.Threading
open Argu
open LmcDsl
open LmcDsl.Core.Architectures
open LmcDsl.Core.Checkpoints
open LmcDsl.Core.Permutations
open LmcDsl.Core.Runtime

/// `lmc align A B`: permutes the units of B so that it comes into A's basin.
[<RequireQualifiedAccess>]
module AlignCommand =

    let private optionally (option: string) (value: Json option) (search: Search) =
        match value with
        | Some value ->
            try
                Search.withOption option value search
            with :? LmcException as error ->
                raise (LmcException($"--{option}: {error.Message}", error))
        | None -> search

    /// The search that the arguments name: the same that scripts call by that name, with the same defaults.
    let search (arguments: ParseResults<ModelArgument>) : Search =
        let named = Library.search "--search" (arguments.GetResult(ModelArgument.Search, defaultValue = OutwardWM.Word))
        let seed = arguments.TryGetResult ModelArgument.Seed |> Option.map Json.int

        let starts =
            arguments.TryGetResult ModelArgument.Starts
            |> Option.map (fun _ -> Json.int (int64 (ArgumentValues.starts arguments)))

        let own = named |> optionally "seed" seed |> optionally "starts" starts

        match arguments.TryGetResult ModelArgument.Starting_From with
        | Some start when own.TakesStart -> own |> startingFrom (Library.search "--starting-from" start)
        | Some _ ->
            raise (LmcException $"--starting-from: {own.Word} has no start, since its answer does not depend on one")
        | None -> own

    /// Raises `LmcException` where a search that reads data is asked for without any.
    let requireData (search: Search) (data: DataSet option) : unit =
        let rec reads (search: Search) = search.ReadsTraining || (search.Start |> Option.exists reads)

        if reads search && data.IsNone then
            raise (LmcException $"--data: {Search.title search} needs a data set, found none")

    /// The population aligned by a search: all its groups, or the first ones only.
    let aligned (arguments: ParseResults<ModelArgument>) (search: Search) (population: Population) : Population =
        match arguments.TryGetResult ModelArgument.First_Groups with
        | None -> population |> align search
        | Some groups ->
            groups |> ArgumentValues.within "--first-groups" 0 1_000_000 |> ignore
            population |> alignFirst groups search

    /// The step that finds what brings model `index` to model 0.
    let step (given: Population) (search: Search) (index: int) : Node =
        Plan.node (Search.plan given search (given.Member 0) (given.Member index) $"{index} to 0")

    /// The permutations for model `index` towards model 0 of what a search finds, and the step that found them.
    let permutations
        (memory: InMemory)
        (arguments: ParseResults<ModelArgument>)
        (models: Models)
        (given: Population)
        (search: Search)
        (index: int)
        : PermutationSet * Node =
        let step = step given search index

        match Stage.during $"aligning: {step.Title}" (fun () -> memory.Value step) with
        | Document found ->
            let all = Alignments.permutations models.Network None found

            match arguments.TryGetResult ModelArgument.First_Groups with
            | None -> all, step
            | Some groups -> LmcDsl.Core.Merging.PartialAlignment.First(all, groups), step
        | Parameters _ -> raise (LmcException $"{step.Title}: expected permutations, found a model")

    /// Model `index` as it is aligned: of searches that find more than permutations.
    let model (memory: InMemory) (aligned: Population) (index: int) : ParameterSet =
        let step = Plan.node (aligned.Member index)

        match Stage.during $"aligning: {step.Title}" (fun () -> memory.Value step) with
        | Parameters turned -> turned
        | Document _ -> raise (LmcException $"{step.Title}: expected a model, found JSON")

    /// Runs the command. Returns what it did.
    let run (arguments: ParseResults<ModelArgument>) (cancel: CancellationToken) : Json =
        let target = Output.path List.last arguments
        let search = search arguments
        use models = Models.load 2 arguments
        let data = GivenData.ofArguments arguments models.Network
        requireData search data

        match models.Placements with
        | [ _; placement ] ->
            Models.inMemory cancel (fun memory ->
                let given = Models.population memory arguments models data
                let aligned = given |> aligned arguments search

                let step, numbers =
                    if search.Turns then
                        let turned = model memory aligned 1

                        step given search 1,
                        fun (part: string | null) stream -> Checkpoint.Save(stream, turned, placement, part)
                    else
                        let found, step = permutations memory arguments models given search 1
                        step, (fun part stream -> Checkpoint.SavePermuted(stream, found, placement, part))

                let ended =
                    match memory.Value step with
                    | Document json -> [ "passes", json["sweeps"]; "stopped", json["stopped"] ]
                    | Parameters _ -> []

                let distances =
                    [
                        for subject in
                            Subject.ofReport (memory.Report({ aligned with Taken = [ 0; 1 ] } |> measure L2)) do
                            if subject.Aligned then
                                for quantity in [ Quantity.l2Before; Quantity.l2; Quantity.reduction ] do
                                    match quantity.Of subject with
                                    | Some value -> quantity.Heading, Json.float value
                                    | None -> ()
                    ]

                let found =
                    [
                        "search", Json.Text(Search.title search)
                        match arguments.TryGetResult ModelArgument.First_Groups with
                        | Some groups -> "first groups", Json.int (int64 groups)
                        | None -> ()
                        yield! GivenData.said data
                        yield! distances
                        yield! ended
                    ]

                let card () =
                    FolderOutput.card
                        "Units permuted towards another model"
                        [ "lmc"; "aligned" ]
                        models.Folders
                        (found @ Models.said models)

                let saved = Output.save models 1 target card numbers

                Json.Object [
                    "written", Json.Text target
                    yield! saved
                    yield! Models.said models
                    yield! found
                    yield! memory.Notes step
                ])
        | all -> raise (LmcException $"align: expected 2 checkpoints, found {all.Length}")
