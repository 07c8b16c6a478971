module LmcDsl.Tests.Dsl.AtomicFolderTests

open System
open System.IO
open Expecto
open LmcDsl
open LmcDsl.Tests.Fixtures

let private fill (folder: string) =
    Directory.CreateDirectory(Path.Combine(folder, "inside")) |> ignore
    File.WriteAllText(Path.Combine(folder, "a"), "1")
    File.WriteAllText(Path.Combine(folder, "inside", "b"), "2")

let private names (folder: string) =
    Directory.GetFileSystemEntries(folder, "*", SearchOption.AllDirectories)
    |> Array.map (fun path -> Path.GetRelativePath(folder, path))
    |> Array.sort
    |> List.ofArray

let private refused (path: string) = Expect.throwsT<IOException> (fun () -> AtomicFolder.write path fill) "refused"

let tests =
    testList "AtomicFolder" [
        test "a folder is there whole, under its name alone" {
            inFolder (fun above ->
                for target in [ "new"; "slash/"; "deep/er" ] do
                    AtomicFolder.write (Path.Combine(above, target)) fill
                    Expect.equal (names (Path.Combine(above, target))) [ "a"; "inside"; "inside/b" ] target

                Directory.CreateDirectory(Path.Combine(above, "empty")) |> ignore
                AtomicFolder.write (Path.Combine(above, "empty")) fill
                Expect.equal (names (Path.Combine(above, "empty"))).Length 3 "in the place of an empty one"

                let top = Directory.GetFileSystemEntries above |> Array.map (fun path -> FileInfo(path).Name) |> set
                Expect.equal top (set [ "new"; "slash"; "deep"; "empty" ]) "nothing beside")
        }

        test "where filling fails nothing is there" {
            inFolder (fun above ->
                let target = Path.Combine(above, "new")

                let half (folder: string) =
                    fill folder
                    raise (IOException "full")

                Expect.throwsT<IOException> (fun () -> AtomicFolder.write target half) "told"
                Expect.isEmpty (names above) "nothing")
        }

        test "what holds files, or is something else, is not replaced" {
            inFolder (fun above ->
                let at name = Path.Combine(above, name)
                AtomicFolder.write (at "new") (fun folder -> File.WriteAllText(Path.Combine(folder, "kept"), ""))
                refused (at "new")
                Expect.equal (names (at "new")) [ "kept" ] "as it was"
                File.WriteAllText(at "file", "")
                refused (at "file")
                Directory.CreateSymbolicLink(at "link", at "nowhere") |> ignore
                refused (at "link"))
        }

        test "what killed writers left is swept, what others are at work on is not" {
            inFolder (fun above ->
                let left (name: string) =
                    let folder = Path.Combine(above, $".{name}.{Guid.NewGuid():N}.tmp")
                    fill folder
                    File.WriteAllText(Path.Combine(folder, ".at-work"), "")
                    folder

                let dead, alive, other = left "new", left "new", left "newer"

                use _ =
                    new FileStream(
                        Path.Combine(alive, ".at-work"),
                        FileMode.Open,
                        FileAccess.ReadWrite,
                        FileShare.None
                    )

                Expect.equal (AtomicFolder.sweep (Path.Combine(above, "new"))) 1 "one"
                Expect.equal [ for f in [ dead; alive; other ] -> Directory.Exists f ] [ false; true; true ] "which")
        }
    ]
