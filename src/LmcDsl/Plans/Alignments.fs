namespace LmcDsl

open LmcDsl.Core.Architectures
open LmcDsl.Core.Matching
open LmcDsl.Core.Permutations

/// What searches found, as JSON: permutations by group, and how the search ended.
[<RequireQualifiedAccess>]
module internal Alignments =

    let private groups (permutations: PermutationSet) =
        Json.Object [
            for group, permutation in Seq.zip permutations.Network.Groups permutations.Permutations do
                group.Name, Json.ints permutation.Sources
        ]

    let private ended context (sweeps: int) (objective: float seq) (stopped: string) (seconds: float) =
        context.Note("seconds of the search", Json.float seconds)

        [
            "sweeps", Json.int (int64 sweeps)
            "objective", Json.floats objective
            "stopped", Json.Text stopped
        ]

    /// The value of a search of two models.
    let ofPair context (found: SearchResult) : Value =
        ("groups", groups found.Permutations)
        :: ended context found.Sweeps found.Objective (string found.Stopped) found.Seconds
        |> Json.Object
        |> Document

    /// The value of a search of several models at once.
    let ofSeveral context (found: JointResult) : Value =
        ("models", Json.Array [ for p in found.Permutations -> groups p ])
        :: ended context found.Sweeps found.Objective (string found.Stopped) found.Seconds
        |> Json.Object
        |> Document

    /// The source of each unit, by group.
    let sources (alignment: Json) : (string * int list) list =
        match alignment["groups"] with
        | Json.Object groups -> [ for name, units in groups -> name, units.Items |> List.map _.Int ]
        | _ -> []

    /// Permutations of a network from their JSON; of one of several models by its number.
    let permutations (network: Network) (index: int option) (alignment: Json) : PermutationSet =
        let groups =
            match index with
            | Some index -> alignment["models"].Items[index]
            | None -> alignment["groups"]

        PermutationSet(
            network,
            network.Groups |> Seq.map (fun group -> Permutation(groups[group.Name].Items |> Seq.map _.Int))
        )
