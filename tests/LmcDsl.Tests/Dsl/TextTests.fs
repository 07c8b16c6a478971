module LmcDsl.Tests.Dsl.TextTests

open System.IO
open Expecto
open LmcDsl
open LmcDsl.Core.Data
open LmcDsl.Tests.Fixtures
open TorchSharp

let private values (tensor: torch.Tensor) = tensor.data<int64>().ToArray() |> List.ofArray

/// A text file, and what is done with it.
let private withText (text: string) work =
    let folder = Directory.CreateTempSubdirectory().FullName

    try
        let path = Path.Combine(folder, "plays.txt")
        File.WriteAllText(path, text)
        work path
    finally
        Directory.Delete(folder, recursive = true)

let private load context (data: DataSet) : ImageData = DataSet.fitting [ context ] data |> DataSet.load

let tests =
    testList "Text" [
        test "the first 90 in 100 characters are for training, the last 5 for test, and none is in both" {
            withText (System.String [| for k in 0..199 -> char (0x100 + k) |]) (fun path ->
                let data = DataSet.ofText path
                Expect.equal (data.Name, data.Classes) ("plays", 200) "each character a token"
                use data = load 4 data
                let train, test = values data.Train.Images, values data.Test.Images
                Expect.equal (List.head train) 0L "from the first on"
                Expect.isLessThan (List.max (values data.Train.Labels)) 180L "up to the 180th"
                Expect.equal (List.head test) 190L "from the 190th on")
        }

        test "byte pairs are GPT-2's, numbered in its order, and none reaches over a cut" {
            // GPT-2's numbers: Hello 15496, " world" 995; cut after 18 of 20 parts.
            withText (String.replicate 40 "Hello world") (fun path ->
                let data = DataSet.ofText (path, BytePairs)
                Expect.equal (data.Name, data.Classes) ("plays-bpe", 2) "two tokens"
                use data = load 2 data
                Expect.equal (values data.Train.Images |> List.take 4) [ 1L; 0L; 1L; 0L ] "995 before 15496"
                Expect.equal (values data.Train.Labels |> List.take 4) [ 0L; 1L; 0L; 1L ] "next ones"
                Expect.equal data.Train.Count 35L "72 tokens: 35 windows of two, and one after each"
                Expect.equal (values data.Test.Images) [ 1L; 0L ] "4 tokens: one window")
        }

        test "windows of another length are another data set, a part's too" {
            withText (System.String [| for k in 0..199 -> char (0x100 + k) |]) (fun path ->
                let data = DataSet.ofText path
                let short = DataSet.fitting [ 4 ] data
                Expect.equal short.Shape [ 4 ] "as asked for"
                Expect.notEqual (DataSet.identity short) (DataSet.identity data) "another key"
                let part = DataSet.fitting [ 4 ] (Part(data, 3, 1))
                Expect.equal part.Shape [ 4 ] "of a part"
                use loaded = DataSet.load part
                Expect.equal (loaded.Train.Count, loaded.Test.Count) (3L, 1L) "still a part")
        }

        test "a text that has changed since is refused" {
            withText "abcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabc" (fun path ->
                let data = DataSet.ofText path
                File.WriteAllText(path, "abcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcd")
                failsWith [ path; "3 different tokens"; "found 4" ] (fun () -> load 1 data |> ignore))
        }

        test "Tiny Shakespeare has as many byte pairs as others found" {
            if not (DataSet.isAtHand TinyShakespeareBytePairs) then
                skiptest "LMC_DATA has no tiny-shakespeare"

            // nanoGPT (Karpathy), data/shakespeare/readme.md: 301,966 tokens in the first 90 % of the characters, 36,059 in the rest; the
            // first are "First Citizen:" and a new line, 5962 22307 25 198.
            use data = load 1 TinyShakespeareBytePairs
            Expect.equal data.Train.Count 301965L "one less than tokens"
            Expect.equal TinyShakespeareBytePairs.Classes 11707 "those that occur"
        }
    ]
