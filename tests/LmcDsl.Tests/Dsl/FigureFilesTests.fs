module LmcDsl.Tests.Dsl.FigureFilesTests

open System
open System.IO
open Expecto
open LmcDsl
open LmcDsl.Tests.Fixtures

let private figure =
    let row at =
        {
            Measure = "distance"
            Models = [ "0"; "1" ]
            Aligned = true
            Labels = [ "width", at ]
            Value = Json.parse """{"l2":3}"""
        }

    Draw.lines "l2" "Distances" "width" "log" [ "state" ] Quantity.l2 (fun _ -> true) { Rows = [ row "1"; row "10" ] }
    |> Option.get

let private withBrowser (value: string) work =
    let before = Environment.GetEnvironmentVariable "LMC_CHROMIUM"
    Environment.SetEnvironmentVariable("LMC_CHROMIUM", value)

    try
        work ()
    finally
        Environment.SetEnvironmentVariable("LMC_CHROMIUM", before)

let tests =
    testSequenced (
        testList "FigureFiles" [
            test "a figure is written as SVG, PNG and PDF, twice in the same bytes" {
                match Browser.tryFind () with
                | None -> skiptest "no Chromium is installed"
                | Some _ ->
                    inFolder (fun folder ->
                        let write name =
                            let target = Path.Combine(folder, name)
                            Expect.isNone (FigureFiles.write target "dotnet fsi a.fsx" [ figure ]) "nothing to tell"

                            [
                                for file in Directory.GetFiles target |> Array.sort ->
                                    Path.GetFileName file, File.ReadAllBytes file
                            ]

                        let one = write "one"
                        Expect.equal (List.map fst one) [ "l2.pdf"; "l2.png"; "l2.svg" ] "files"
                        Expect.equal (snd one[1]).[1..3] "PNG"B "a PNG"

                        Expect.stringContains
                            (Text.Encoding.UTF8.GetString(snd one[2]))
                            "Made by dotnet fsi a.fsx"
                            "the command that makes it again"

                        Expect.stringStarts (Text.Encoding.Latin1.GetString(snd one[0])) "%PDF" "a PDF"
                        Expect.equal (write "two") one "same bytes")
            }

            test "where no browser is installed one line says so, and nothing is written" {
                inFolder (fun folder ->
                    withBrowser "" (fun () ->
                        let line = FigureFiles.write folder "" [ figure ] |> Option.get
                        Expect.stringContains line "Chromium" "the line"
                        Expect.isEmpty (Directory.GetFiles folder) "nothing"))
            }

            test "a browser that fails is told by name" {
                inFolder (fun folder ->
                    withBrowser "/bin/false" (fun () ->
                        failsWith [ "/bin/false"; "exit code 1" ] (fun () ->
                            FigureFiles.write folder "" [ figure ] |> ignore)))
            }
        ]
    )
