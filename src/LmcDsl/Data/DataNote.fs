namespace LmcDsl

/// Something about the copy of a data set at hand that must be told wherever numbers of it stand. A value of a module; the library finds
/// its own by their type.
type DataNote =
    {
        /// The data set's name.
        Data: string
        /// What is to be told of the copy at hand, where there is something; may read files, once.
        Tell: unit -> string option
    }

/// What must be told of data sets.
[<RequireQualifiedAccess>]
module internal DataNotes =

    /// What must be told of a data set, or of the whole that it is a part of.
    let ofData (data: DataSet) : string option =
        let whole = data.Name.Split(':').[0]

        Defined.all<DataNote> false
        |> List.tryFind (fun note -> note.Data = whole)
        |> Option.bind (fun note -> note.Tell())
