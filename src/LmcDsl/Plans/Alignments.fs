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

    // Each group's matrices, one after another and row by row; of groups that are only permuted none.
    let private turns (found: Transformation) =
        Json.Object [
            for turn, matrix in Seq.zip found.Permutations.Network.Turns found.Matrices do
                match matrix with
                | null -> ()
                | matrix ->
                    use flat = matrix.cpu().flatten().``to``(TorchSharp.torch.float64)
                    turn.Name, Json.floats (flat.data<float>().ToArray())
        ]

    // Freed once it is written.
    let private whole (found: Transformation) =
        use found = found
        [ "groups", groups found.Permutations; "turns", turns found ]

    /// Whether a value is what a search found.
    let is (value: Json) : bool =
        [ "sweeps"; "objective"; "stopped" ] |> List.forall (fun field -> Option.isSome (value.TryItem field))

    /// The value of a search of two models.
    let ofPair context (found: SearchResult) : Value =
        match found.Transformation with
        | null -> [ "groups", groups found.Permutations ]
        | found -> whole found
        @ ended context found.Sweeps found.Objective (string found.Stopped) found.Seconds
        |> Json.Object
        |> Document

    /// The value of a search of several models at once.
    let ofSeveral context (found: JointResult) : Value =
        let models =
            if found.Transformations.IsEmpty then
                [ for p in found.Permutations -> groups p ]
            else
                [ for found in found.Transformations -> Json.Object(whole found) ]

        ("models", Json.Array models)
        :: ended context found.Sweeps found.Objective (string found.Stopped) found.Seconds
        |> Json.Object
        |> Document

    /// The source of each unit, by group; not of groups that are rotated.
    let sources (alignment: Json) : (string * int list) list =
        let turned =
            match alignment.TryItem "turns" with
            | Some(Json.Object turns) -> List.map fst turns |> set
            | _ -> Set.empty

        match alignment["groups"] with
        | Json.Object groups ->
            [
                for name, units in groups do
                    if not (turned.Contains name) then
                        name, units.Items |> List.map _.Int
            ]
        | _ -> []

    let private ofGroups (network: Network) (groups: Json) : PermutationSet =
        PermutationSet(
            network,
            network.Groups |> Seq.map (fun group -> Permutation(groups[group.Name].Items |> Seq.map _.Int))
        )

    /// The transformation of a network's folded form that a search over all symmetries found.
    let transformation (network: Network) (alignment: Json) : Transformation =
        let turns = alignment["turns"]

        let matrix (turn: PermutationGroup) : TorchSharp.torch.Tensor | null =
            match turns.TryItem turn.Name with
            | None -> null
            | Some numbers ->
                let units = int64 turn.Units / int64 turn.Copies
                let flat = numbers.Items |> List.map _.Float |> List.toArray
                TorchSharp.torch.tensor(flat).view(int64 turn.Copies, units, units)

        new Transformation(ofGroups network alignment["groups"], Seq.map matrix network.Turns)

    /// Permutations of a network from their JSON; of one of several models by its number.
    let permutations (network: Network) (index: int option) (alignment: Json) : PermutationSet =
        match index with
        | Some index -> alignment["models"].Items[index]
        | None -> alignment["groups"]
        |> ofGroups network
