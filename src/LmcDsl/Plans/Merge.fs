namespace LmcDsl

open LmcDsl.Core.Merging
open LmcDsl.Core.Runtime

/// A way to make one model of several that are aligned.
type Merge =
    {
        /// What tables call it.
        Name: string
        /// Its word on the command line.
        Word: string
        /// What runs it.
        Op: Op
        /// Titles of its steps, before the number of models.
        Title: string
        /// Its options, as the operation reads them.
        Options: Json
        /// The method of the core that it is, with such options, where it is one: what merges checkpoints number by number.
        Method: (Json -> MergeMethod) option
    }

/// Defining merges.
[<RequireQualifiedAccess>]
module Merge =

    /// The operation of a merge: name, version, and what it does with its options and the models, aligned or not. Whatever changes the
    /// answer is in its options.
    let op<'options when 'options: not null and 'options: not struct>
        (name: string)
        (version: int)
        (run:
            OpContext
                -> 'options
                -> LmcDsl.Core.Architectures.ParameterSet list
                -> LmcDsl.Core.Architectures.ParameterSet)
        : Op =
        let work (context: OpContext) =
            Parameters(run context (Json.toValue<'options> context.Args["options"]) (Value.models context))

        Op.make name version 0.5 work |> Op.written run

    /// The operation of one of the core's methods.
    let internal opOf<'method when 'method :> MergeMethod and 'method: not null and 'method: not struct>
        (name: string)
        (version: int)
        : Op =
        op<'method> name version (fun _ method models -> method.Merge(List.toArray models))

    /// A merge: what tables call it, its operation, the beginning of its titles before the number of models, and its options.
    let make (name: string) (op: Op) (title: string) (options: 'options) : Merge =
        {
            Name = name
            Word = name.ToLowerInvariant().Replace(' ', '-')
            Op = op
            Title = title
            Options = Json.ofValue options
            Method = None
        }

    /// One of the core's methods as a merge.
    let internal ofMethod<'method when 'method :> MergeMethod and 'method: not null and 'method: not struct>
        (name: string)
        (op: Op)
        (title: string)
        (method: 'method)
        : Merge =
        { make name op title method with
            Method = Some(fun options -> Json.toValue<'method> options)
        }

    /// The merge with one of its options changed. Raises `LmcException` where it has none of that name.
    let withOption (option: string) (value: Json) (merge: Merge) : Merge =
        match merge.Options with
        | Json.Object fields when fields |> List.exists (fst >> (=) option) ->
            { merge with
                Options = Json.Object [ for name, old in fields -> name, (if name = option then value else old) ]
            }
        | Json.Object fields ->
            let known = System.String.Join(", ", List.map fst fields)
            raise (LmcException $"{merge.Word}: expected one of its options {known}, found '{option}'")
        | _ -> raise (LmcException $"{merge.Word}: has no options, found '{option}'")

    /// The step that merges models.
    let internal step (merge: Merge) (title: string) (models: Node list) : Plan<Model> =
        Plan.make merge.Op title (Args.ofFields [ "options", merge.Options ]) models
