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

    /// CIFAR-10: photographs, 50,000 + 10,000 of 32x32 in 10 classes, in their binary layout.
    let Cifar10 =
        {
            Name = cifar10Files.Name
            Title = "CIFAR-10"
            Shape = [ 3; 32; 32 ]
            Classes = CifarBinary.Classes
            Windows = None
            Content = DataFiles.content cifar10Files
            Locate = fun () -> DataFiles.locate cifar10Files
            Read = read
            Scaling = Standardised
        }
