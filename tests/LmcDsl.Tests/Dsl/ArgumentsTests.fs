module LmcDsl.Tests.Dsl.ArgumentsTests

open System
open System.IO
open Expecto
open LmcDsl
open LmcDsl.Tests.Fixtures

let private parse words = Arguments.parse "experiments/test.fsx" words

let private refused words parts =
    try
        (parse words).Change Setup.standard |> ignore
        failtest "expected a refusal"
    with
    | Usage(text, code) ->
        Expect.equal code 2 "exit code of a wrong argument"

        Expect.isFalse (text.Contains '\n') "one line"

        for part in parts do
            Expect.stringContains text part "the line says what was wrong"

        Expect.isFalse (text.Contains "   at ") "no stack trace"
    | :? LmcDsl.Core.Runtime.LmcException as error ->
        for part in parts do
            Expect.stringContains error.Message part "the line says what was wrong"

let tests =
    testList "Arguments" [
        test "each argument changes its field" {
            let words =
                "--seeds 4 5 6 --epochs 2 --dataset glyphs --device cpu --threads 1 --scale smoke --results r --store s --no-images --plan"

            let read = parse (List.ofArray (words.Split ' '))
            let setup = read.Change Setup.standard
            Expect.equal setup.Seeds (Listed [ 4L; 5L; 6L ]) "seeds"
            Expect.equal (setup.Epochs, setup.Data, setup.Device, setup.Threads) (2, Glyphs, "cpu", 1) "set-up"

            Expect.equal
                (read.Results, read.Store, read.ShowPlan, read.NamesData)
                (Some "r", "s", true, true)
                "the rest"

            Expect.equal (read.Size, read.Images) (Some Smoke, false) "scale and images"
        }

        test "labels of rows may be given one after another or apart" {
            let read = parse [ "--only"; "a=b c"; "d=e"; "--epochs"; "2"; "--only"; "f=g" ]
            Expect.equal read.Only [ "a", "b c"; "d", "e"; "f", "g" ] "all"
            Expect.equal (read.Change Setup.standard).Epochs 2 "what follows is another argument"
            refused [ "--only"; "search" ] [ "--only"; "LABEL=VALUE"; "'search'" ]
        }

        test "none changes nothing" {
            let read = parse []
            let setup = read.Change Setup.standard

            Expect.equal
                (setup.Seeds, setup.Epochs, setup.Data)
                (Counting, Setup.standard.Epochs, FashionMnist)
                "as it was"

            Expect.equal (read.Results, read.Size, read.Images, read.ShowPlan) (None, None, true, false) "defaults"
        }

        test "wrong arguments are told in one line" {
            let all = "dotnet fsi experiments/test.fsx: ", "(all arguments: --help)"
            refused [ "--nonsense" ] [ fst all; "expected an argument, found '--nonsense'"; snd all ]
            refused [ "--epoch"; "2" ] [ "found '--epoch'; did you mean --epochs?" ]
            refused [ "--epochs"; "many" ] [ fst all; "--epochs"; "many"; snd all ]
            refused [ "--epochs" ] [ fst all; "--epochs"; snd all ]
            refused [ "--epochs"; "1"; "--epochs"; "2" ] [ "--epochs"; snd all ]
            refused [ "--seeds"; "1"; "two" ] [ "expected an argument, or what --seeds takes, found 'two'" ]
            refused [ "stray"; "--epochs"; "1" ] [ fst all; "expected an argument, found 'stray'" ]
            refused [ "--epochs"; "0" ] [ "--epochs"; "expected 1 or more" ]
            refused [ "--threads"; "-1" ] [ "--threads" ]
            refused [ "--dataset"; "imagenet" ] [ "imagenet"; "cifar-10, fashion-mnist, glyphs, mnist" ]
            refused [ "--scale"; "huge" ] [ "--scale"; "smoke, laptop or paper"; "huge" ]
            refused [ "--dataset"; "mnist:0+5" ] [ "mnist:0+5" ]
            refused [ "--device"; "tpu" ] [ "tpu"; "cpu, cuda" ]
        }

        test "the command that a result names says what is made, not where" {
            let words =
                [
                    "--scale"
                    "smoke"
                    "--store"
                    "s"
                    "--on"
                    "slurm"
                    "--results"
                    "r"
                    "--jobs"
                    "3"
                    "--sbatch=--mem=1G"
                    "--threads"
                    "1"
                ]

            Expect.equal (parse words).Essential [ "--scale"; "smoke"; "--threads"; "1" ] "what is made"

            Expect.equal
                (Arguments.withoutEngine words)
                [ "--scale"; "smoke"; "--store"; "s"; "--results"; "r"; "--threads"; "1" ]
                "for a task on a cluster"
        }

        test "steps side by side share the cores, and the threads that this leaves are part of the command" {
            let cores = Environment.ProcessorCount
            let shared = parse [ "--jobs"; string cores ]
            Expect.equal (shared.Change Setup.standard).Threads 1 "one core each"
            Expect.equal shared.Engine (SideBySide(cores, 1)) "worker processes"
            Expect.equal shared.Essential [ "--threads"; "1" ] "to make the same bytes again"
            let alone = parse [ "--jobs"; "1" ]
            Expect.equal alone.Engine Here "in this process"
            Expect.equal (alone.Change Setup.standard).Threads Setup.standard.Threads "as told by the set-up"
            Expect.isEmpty alone.Essential "nothing to say"

            failsWith [ "--jobs"; string cores; string (cores + 1) ] (fun () ->
                (parse [ "--jobs"; string (cores + 1) ]).Change Setup.standard |> ignore)

            failsWith [ "--jobs"; "--threads"; string cores ] (fun () ->
                (parse [ "--jobs"; "2"; "--threads"; string cores ]).Change Setup.standard |> ignore)
        }

        test "help is no mistake" {
            try
                parse [ "--help" ] |> ignore
                failtest "expected the usage"
            with Usage(text, code) ->
                Expect.equal code 0 "exit code"
                Expect.stringContains text "--seeds" "the usage"
        }
    ]
