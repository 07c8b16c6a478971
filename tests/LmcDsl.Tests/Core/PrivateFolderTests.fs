module LmcDsl.Tests.Core.PrivateFolderTests

open System
open System.IO
open Expecto
open LmcDsl.Core.Runtime
open LmcDsl.Tests.Fixtures

let private modeOf (path: string) = File.GetUnixFileMode path &&& enum<UnixFileMode> 0o777
let private set (path: string) (mode: int) = File.SetUnixFileMode(path, enum<UnixFileMode> mode)

let private with' (name: string) (value: string) (work: unit -> unit) =
    let before = Environment.GetEnvironmentVariable name
    Environment.SetEnvironmentVariable(name, value)

    try
        work ()
    finally
        Environment.SetEnvironmentVariable(name, before)

let tests =
    testSequenced (
        testList "PrivateFolder" [
            test "its folders are the user's own, mode 0700" {
                inFolder (fun folder ->
                    let made = PrivateFolder.Make(Path.Combine(folder, "cache", "lmcdsl", "torch"), 2)
                    Expect.equal made (Path.Combine(folder, "cache", "lmcdsl", "torch")) "where it was asked for"

                    for path in [ made; Path.GetDirectoryName made ] do
                        Expect.equal (modeOf path) (enum<UnixFileMode> 0o700) path)
            }

            test "a link in their place is refused; one above them is followed" {
                inFolder (fun folder ->
                    let elsewhere = Path.Combine(folder, "elsewhere")
                    Directory.CreateDirectory elsewhere |> ignore
                    let link = Path.Combine(folder, "lmcdsl")
                    File.CreateSymbolicLink(link, elsewhere) |> ignore

                    failsWith [ "expected a folder"; link; "a link" ] (fun () ->
                        PrivateFolder.Make(Path.Combine(link, "torch"), 2) |> ignore)

                    Expect.equal
                        (PrivateFolder.Make(Path.Combine(link, "torch"), 1))
                        (Path.Combine(elsewhere, "torch"))
                        "followed")
            }

            test "another user's folder is refused, in their place and above them" {
                if UnixFile.User <> 0u then
                    skiptest "only root can give a folder to another user"

                inFolder (fun folder ->
                    let theirs = Path.Combine(folder, "lmcdsl-0")
                    Directory.CreateDirectory theirs |> ignore
                    let code, _, errors = runProgram "." "chown" [ "65533"; theirs ]
                    Expect.equal code 0 errors

                    for own in [ 1; 2 ] do
                        failsWith [ theirs; "65533" ] (fun () ->
                            PrivateFolder.Make(Path.Combine(theirs, "hash"), own) |> ignore))
            }

            test "a folder above them where anybody may rename is refused" {
                inFolder (fun folder ->
                    let common = Path.Combine(folder, "common")
                    Directory.CreateDirectory common |> ignore
                    set common 0o777

                    failsWith [ common; "777" ] (fun () ->
                        PrivateFolder.Make(Path.Combine(common, "own"), 1) |> ignore)

                    set common 0o1777
                    PrivateFolder.Make(Path.Combine(common, "own"), 1) |> ignore)
            }

            test "one of the user's own that a umask has left open is closed" {
                inFolder (fun folder ->
                    let own = Path.Combine(folder, "own")
                    Directory.CreateDirectory own |> ignore
                    set own 0o775
                    PrivateFolder.Make(own, 1) |> ignore
                    Expect.equal (modeOf own) (enum<UnixFileMode> 0o755) "closed to others")
            }

            test "a cache folder that is no absolute path is ignored" {
                let standard = Path.Combine(Environment.GetFolderPath Environment.SpecialFolder.UserProfile, ".cache")

                for name in [ "relative"; "./here"; ".." ] do
                    with' "XDG_CACHE_HOME" name (fun () -> Expect.equal UserCache.Folder standard name)

                with' "XDG_CACHE_HOME" "/absolute" (fun () -> Expect.equal UserCache.Folder "/absolute" "absolute")
            }
        ]
    )
