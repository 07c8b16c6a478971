/// What a user's mistake is told as.
module LmcDsl.Tests.Core.LmcExceptionTests

open System
open Expecto
open LmcDsl.Core.Runtime

let tests =
    testList "LmcException" [
        test "it is its line, whoever prints it and whatever caused it" {
            let error =
                try
                    raise (LmcException("a.txt: expected a text, found none", InvalidOperationException "inner"))
                with :? LmcException as error ->
                    error

            Expect.equal (string error) "a.txt: expected a text, found none" "no stack trace"
        }

        test "names in it keep it one line, of a length that can be read" {
            let line = LmcException($"""expected a name, found '{"\n\u001b[2J"}{String('x', 100_000)}'""").Message
            Expect.isFalse (line.Contains '\n' || line.Contains '\u001b') "one line, that no terminal obeys"
            Expect.isLessThan line.Length 7_000 "length"
            Expect.stringStarts line "expected a name, found '" "its beginning"
        }
    ]
