namespace LmcDsl

open LmcDsl.Core.Data
open LmcDsl.Core.Runtime

/// How the values of images and other inputs are scaled before a network sees them.
type Scaling =
    /// Mean 0 and deviation 1 of each channel over all training examples.
    | Standardised
    /// (value - mean) / deviation, for each channel or for all alike; of images the value is the byte / 255.
    | Scaled of means: float list * deviations: float list

/// Ways to scale inputs.
[<RequireQualifiedAccess>]
module Scaling =

    /// From 0 to 1: the bytes of images over 255. Other values stay as they are.
    let unit = Scaled([ 0.0 ], [ 1.0 ])

    /// The bytes themselves, 0 to 255. Other values stay as they are.
    let bytes = Scaled([ 0.0 ], [ 1.0 / 255.0 ])

    /// What people read.
    let describe (scaling: Scaling) =
        let numbers values = values |> List.map Number.shortest |> String.concat " "

        match scaling with
        | Standardised -> "standardised by channel over the training examples"
        | scaling when scaling = unit -> "from 0 to 1"
        | scaling when scaling = bytes -> "bytes, 0 to 255"
        | Scaled(means, deviations) -> $"less {numbers means}, over {numbers deviations}"

    /// The core's scaling; none for standardisation.
    let internal given (scaling: Scaling) : Scale | null =
        match scaling with
        | Standardised -> null
        | Scaled(means, deviations) -> Scale(List.toArray means, List.toArray deviations)

/// A data set for classification: what is known of it without opening a file, and how its examples are read.
/// Equal where names and scalings are.
[<CustomEquality; NoComparison>]
type DataSet =
    {
        /// Its name on the command line and in keys; of a part, for example `mnist:2000+500`.
        Name: string
        /// What tables call it; of a part, what they call the whole.
        Title: string
        /// Shape of one example: channels, height, width; of text, how many tokens.
        Shape: int list
        /// Number of classes; of text, how many tokens there are.
        Classes: int
        /// Of text: the same in windows of so many tokens.
        Windows: (int -> DataSet) option
        /// What identifies its content: checksums, a version. Hashed into keys; may read files, once.
        Content: unit -> Json
        /// Where its files are, or one line that says what was tried. Nothing, where it needs none.
        Locate: unit -> Result<string list, string>
        /// Reads all examples into memory, checked and scaled. The caller disposes them.
        /// Raises `LmcException` where a file is missing, damaged, cut, or another than its name says.
        Read: Scaling -> ImageData
        /// Whether values are bytes, which are scaled as their share of 255.
        Bytes: bool
        /// How inputs are scaled.
        Scaling: Scaling
    }

    override this.Equals other =
        match other with
        | :? DataSet as set -> set.Name = this.Name && set.Scaling = this.Scaling
        | _ -> false

    override this.GetHashCode() = this.Name.GetHashCode()

/// What can be done with any data set.
[<RequireQualifiedAccess>]
module DataSet =

    /// Whether its files are at hand.
    let isAtHand (data: DataSet) : bool = data.Locate() |> Result.isOk

    /// Reads it into memory. The caller disposes it.
    let load (data: DataSet) : ImageData = data.Read data.Scaling

    /// How its inputs are scaled, as people read it.
    let inputs (data: DataSet) : string =
        if data.Windows.IsSome then "tokens"
        elif data.Scaling = Scaling.unit && not data.Bytes then "as they are"
        else Scaling.describe data.Scaling

    /// The same examples, scaled in another way; another key. Values that are no bytes are by `Scaling.bytes` as they are.
    let scaled (scaling: Scaling) (data: DataSet) : DataSet =
        let scaling = if scaling = Scaling.bytes && not data.Bytes then Scaling.unit else scaling

        match scaling with
        | Scaled _ when data.Windows.IsSome ->
            raise (
                LmcException
                    $"scaling of {data.Name}: expected none, since tokens are not scaled, found {Scaling.describe scaling}"
            )
        | Scaled(means, deviations) ->
            let channels = data.Shape.Head
            let fits (values: float list) = values.Length = 1 || values.Length = channels

            if not (fits means && fits deviations) || deviations |> List.exists (fun d -> not (d > 0.0)) then
                raise (
                    LmcException
                        $"scaling of {data.Name}: expected 1 or {channels} means and as many positive deviations, found {Scaling.describe scaling}"
                )
        | Standardised -> ()

        { data with Scaling = scaling }

    /// What identifies name, content and scaling, for keys and provenance.
    let identity (data: DataSet) : Json =
        Json.Object [
            "name", Json.Text data.Name
            "content", data.Content()
            match data.Scaling with
            | Standardised -> ()
            | Scaled(means, deviations) ->
                "scaling", Json.Object [ "means", Json.floats means; "deviations", Json.floats deviations ]
        ]

    /// Text in windows of as many tokens as a network reads; other data as they are.
    let fitting (input: int seq) (data: DataSet) : DataSet =
        match data.Windows, List.ofSeq input with
        | Some windows, [ context ] when data.Shape <> [ context ] -> windows context
        | _ -> data

    /// The first so many training and test examples of a data set, scaled by the statistics of the whole; for trials.
    let rec part (train: int) (test: int) (whole: DataSet) : DataSet =
        { whole with
            Name = $"{whole.Name}:{train}+{test}"
            Windows = whole.Windows |> Option.map (fun windows -> windows >> part train test)
            Read =
                fun scaling ->
                    use all = whole.Read scaling
                    all.First(train, test)
        }

/// The words of a script on data sets.
[<AutoOpen>]
module DataWords =

    /// The first so many training and test examples of another data set, for trials: `Part(Mnist, 2000, 500)`.
    let Part (whole: DataSet, train: int, test: int) : DataSet = DataSet.part train test whole
