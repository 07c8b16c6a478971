namespace LmcDsl

open LmcDsl.Core.Data

/// Photographs in colour (Krizhevsky, 2009).
[<AutoOpen>]
module Cifar10Data =

    // Copies differ (some went through JPEG), so no checksum is that of all. One archive is served, which is not fetched by itself.
    let internal cifar10Files: FileSet =
        {
            Name = "cifar-10"
            Files =
                [ for k in 1..5 -> $"data_batch_{k}.bin" ] @ [ "test_batch.bin" ]
                |> List.map (fun name -> { Name = name; Sha256 = None })
            Mirrors = []
            Within = Some "cifar-10-batches-bin"
        }

    let private read scaling =
        let files = DataFiles.read cifar10Files |> List.map (fun (path, content) -> struct (path, content))
        let read part = CifarBinary.Read(List.toArray part)

        ImageData.Normalise(
            read (List.take 5 files),
            read (List.skip 5 files),
            CifarBinary.Classes,
            Scaling.given scaling
        )

    // By the files' content: they are read once for each copy.
    let private throughJpeg =
        lazy
            (match DataFiles.locate cifar10Files with
             | Error _ -> None // there is no copy to tell of
             | Ok paths ->
                 let path = List.last paths
                 Some(JpegTrace.IsIn(CifarBinary.Read [| struct (path, System.IO.File.ReadAllBytes path) |])))

    /// Whether this copy's images went through JPEG.
    let cifar10Note: DataNote =
        {
            Data = cifar10Files.Name
            Tell =
                fun () ->
                    throughJpeg.Value
                    |> Option.map (fun lossy ->
                        if lossy then
                            "the images of this copy went through JPEG, so that networks do a little worse than on lossless ones"
                        else
                            "the images of this copy show no trace of JPEG")
        }

    /// CIFAR-10: photographs, 50,000 + 10,000 of 32x32 in 10 classes, in their binary layout.
    let Cifar10 =
        {
            Name = cifar10Files.Name
            Title = "CIFAR-10"
            Shape = [ 3; 32; 32 ]
            Classes = CifarBinary.Classes
            Windows = None
            Bytes = true
            Content = DataFiles.content cifar10Files
            Locate = fun () -> DataFiles.locate cifar10Files
            Read = read
            Scaling = Standardised
        }
