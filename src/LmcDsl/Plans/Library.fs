namespace LmcDsl

open System
open System.Text.RegularExpressions
open LmcDsl.Core.Runtime

/// What the library has, by the words of the command line.
[<RequireQualifiedAccess>]
module Library =

    /// Its data sets.
    let dataSets: DataSet list = Defined.all<DataSet> false |> List.sortBy (fun data -> data.Name)

    /// Its searches of two models, with their default options.
    let searches: Search list = Defined.all<Search> false |> List.sortBy _.Word

    /// Its merges, with their default options.
    let merges: Merge list = Defined.all<Merge> false |> List.sortBy _.Word

    /// Its metrics, with their default arguments.
    let metrics: Metric list = Defined.all<Metric> false |> List.sortBy _.Word

    // The thing of that word; a mistake names the option, what else it takes, and the nearest word where one is near.
    let private findOr
        (also: string)
        (option: string)
        (word: 'thing -> string)
        (things: 'thing list)
        (text: string)
        : 'thing =
        match things |> List.tryFind (fun thing -> word thing = text) with
        | Some thing -> thing
        | None ->
            let known = things |> List.map word
            let all = String.Join(", ", known)
            raise (LmcException $"{option}: expected {also}one of {all}, found '{text}'{Nearest.Hint(text, known)}")

    let private find option word things text = findOr "" option word things text

    /// The data set of that name, or a part of one as `mnist:2000+500`; `option` names where it was asked for, `also` says what else is taken
    /// there.
    let internal dataSetOr (also: string) (option: string) (text: string) : DataSet =
        let known = findOr also option (fun (data: DataSet) -> data.Name) dataSets
        let part = Regex.Match(text, @"^([^:]+):([1-9]\d{0,8})\+([1-9]\d{0,8})$")
        let count (group: int) = int part.Groups[group].Value

        if part.Success then
            Part(known part.Groups[1].Value, count 2, count 3)
        else
            known text

    /// The data set of that name, or a part of one as `mnist:2000+500`; `option` names where it was asked for.
    /// Raises `LmcException` where there is none.
    let dataSet (option: string) (text: string) : DataSet = dataSetOr "" option text

    /// The search of that word. Raises `LmcException` where there is none.
    let search (option: string) (text: string) : Search = find option _.Word searches text

    /// The merge of that word. Raises `LmcException` where there is none.
    let merge (option: string) (text: string) : Merge = find option _.Word merges text

    /// The metric of that word. Raises `LmcException` where there is none.
    let metric (option: string) (text: string) : Metric = find option _.Word metrics text
