module LmcDsl.Tests.Dsl.AtomicFileTests

open System
open System.IO
open System.Threading.Tasks
open Expecto
open LmcDsl
open LmcDsl.Core.Runtime
open LmcDsl.Tests.Fixtures

let tests =
    testList "AtomicFile" [
        test "a link is followed: the file that it leads to is replaced" {
            inFolder (fun folder ->
                let target, link = Path.Combine(folder, "target"), Path.Combine(folder, "link")
                File.WriteAllText(target, "old")
                File.CreateSymbolicLink(link, target) |> ignore
                AtomicFile.writeText link "new"
                Expect.equal (File.ReadAllText target) "new" "written"
                Expect.equal (FileInfo(link).LinkTarget) target "still a link"
                File.Delete target
                AtomicFile.writeText link "again"
                Expect.equal (File.ReadAllText target) "again" "also where it leads to nothing yet")
        }

        test "a pipe is written into" {
            inFolder (fun folder ->
                let pipe = Path.Combine(folder, "pipe")
                let code, _, errors = runProgram "." "mkfifo" [ pipe ]
                Expect.equal code 0 errors
                let reading = Task.Run(fun () -> File.ReadAllText pipe)
                AtomicFile.ready pipe
                AtomicFile.writeText pipe "text"
                Expect.equal reading.Result "text" "read"
                Expect.equal (UnixFile.Kind pipe) FileKind.Other "still a pipe")
        }

        test "a device is written into, and stays one" {
            inFolder (fun folder ->
                let full = Path.Combine(folder, "full")

                match runProgram "." "mknod" [ full; "c"; "1"; "7" ] with
                | 0, _, _ ->
                    Expect.throwsT<IOException> (fun () -> AtomicFile.writeText full "text") "no space left"
                    Expect.equal (UnixFile.Kind full) FileKind.Other "still a device"
                    Expect.equal (Directory.GetFileSystemEntries folder) [| full |] "nothing beside it"
                | _ -> skiptest "no device can be made here")
        }

        test "a folder is no file" {
            inFolder (fun folder ->
                for work in [ (fun () -> AtomicFile.writeText folder ""); (fun () -> AtomicFile.ready folder) ] do
                    Expect.throwsT<IOException> work "refused")
        }

        test "what killed writers of a file left is swept when it is written again, and nothing else" {
            inFolder (fun folder ->
                let at name = Path.Combine(folder, name)
                let left = at $"model.safetensors.{Guid.NewGuid():N}.tmp"
                let others = at $"other.safetensors.{Guid.NewGuid():N}.tmp"

                for path in [ left; others; at "model.safetensors.tmp" ] do
                    File.WriteAllText(path, "half")

                AtomicFile.writeText (at "model.safetensors") "whole"
                Expect.isFalse (File.Exists left) "swept"
                Expect.isTrue (File.Exists others) "another file's"
                Expect.isTrue (File.Exists(at "model.safetensors.tmp")) "the user's own")
        }

        test "what cannot be written is told before the work" {
            inFolder (fun folder ->
                let file = Path.Combine(folder, "file")
                File.WriteAllText(file, "")
                Expect.throwsT<IOException> (fun () -> AtomicFile.ready (Path.Combine(file, "x"))) "below a file"
                AtomicFile.ready (Path.Combine(folder, "new", "x"))
                Expect.isEmpty (Directory.GetFileSystemEntries(Path.Combine(folder, "new"))) "nothing is left")
        }
    ]
