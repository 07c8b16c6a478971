/// NumPy's files, as NumPy writes them.
module LmcDsl.Tests.NumpyFiles

open System
open System.IO
open System.IO.Compression
open System.Text

/// A .npy file, version 1, as NumPy writes it.
let npy (descr: string) (shape: string) (numbers: byte[]) =
    let dict = $"{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}"
    let header = Encoding.Latin1.GetBytes(dict.PadRight(117) + "\n")

    [|
        yield! [| 0x93uy |]
        yield! "NUMPY\001\000"B
        byte header.Length
        0uy
        yield! header
        yield! numbers
    |]

/// A .npz archive of such files in a folder, by the names of its arrays. Returns its path.
let npz folder (entries: (string * byte[]) list) =
    let path = Path.Combine(folder, "data.npz")
    File.Delete path
    use archive = ZipFile.Open(path, ZipArchiveMode.Create)

    for name, content in entries do
        use entry = archive.CreateEntry(name + ".npy").Open()
        entry.Write(ReadOnlySpan content)

    path
