namespace LmcDsl

open System
open LmcDsl.Core.Data

/// Data sets in MNIST's form: four IDX files of grey images of 28x28 and their labels.
[<RequireQualifiedAccess>]
module IdxImages =

    /// The files of such a data set, from where they are served, and their SHA-256 uncompressed: training images and labels, test images and
    /// labels.
    let files (name: string) (mirrors: string list) (sha256: string list) : FileSet =
        {
            Name = name
            Files =
                List.map2
                    (fun name sum -> { Name = name; Sha256 = Some sum })
                    [
                        "train-images-idx3-ubyte"
                        "train-labels-idx1-ubyte"
                        "t10k-images-idx3-ubyte"
                        "t10k-labels-idx1-ubyte"
                    ]
                    sha256
            Mirrors = mirrors
            Within = None
        }

    /// The data set of such files.
    let dataSet (title: string) (classes: int) (files: FileSet) : DataSet =
        let read scaling =
            let contents = List.toArray (DataFiles.read files)

            let images k =
                let (imagesPath, images), (labelsPath, labels) = contents[k], contents[k + 1]
                Idx.ReadImages(ReadOnlySpan images, imagesPath, ReadOnlySpan labels, labelsPath)

            ImageData.Normalise(images 0, images 2, classes, Scaling.given scaling)

        {
            Name = files.Name
            Title = title
            Shape = [ 1; 28; 28 ]
            Classes = classes
            Windows = None
            Bytes = true
            Content = DataFiles.content files
            Locate = fun () -> DataFiles.locate files
            Read = read
            Scaling = Standardised
        }
