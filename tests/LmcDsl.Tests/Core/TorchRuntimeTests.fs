module LmcDsl.Tests.Core.TorchRuntimeTests

open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Runtime
open LmcDsl.Tests.Fixtures
open TorchSharp

let tests =
    testList "TorchRuntime" [
        test "Torch is loaded and multiplies" {
            use product = torch.eye(2L).mm(torch.ones (2L, 3L))
            Expect.equal (product.sum().ToDouble()) 6.0 "sum of ones"
        }

        test "loading twice does nothing more" {
            Expect.equal (TorchRuntime.Load()) (TorchRuntime.Load()) "same answer"
        }

        test "a device that is not there is named in one line" {
            if not (torch.cuda.is_available ()) then
                failsWith [ "cuda"; "0 CUDA devices" ] (fun () -> TorchRuntime.Device "cuda" |> ignore)
        }

        test "a device of another name is refused" {
            failsWith [ "expected cpu, cuda or cuda:N"; "'gpu'" ] (fun () -> TorchRuntime.Device "gpu" |> ignore)
        }

        test "a number of threads below 1 is refused" {
            failsWith [ "expected 1 or more"; "0" ] (fun () -> TorchRuntime.UseThreads 0)
        }

        test "a stream of chance is the first 8 bytes of a SHA-256, computed elsewhere" {
            for seed, purpose, index, wanted in
                [
                    1L, "x", 2L, 7476775861764985010L
                    1L, "x", 0L, 3237651944776465370L
                    1L, "y", 2L, 225422409937866349L
                    -3L, "order of examples", 5L, 7369536448062744227L
                ] do
                Expect.equal (Seeds.Derive(seed, purpose, index)) wanted $"{seed}/{purpose}/{index}"

            let draws seed purpose = Seeds.Random(seed, purpose).Next(), Seeds.Random(seed, purpose).Next()
            Expect.equal (draws 1L "a") (draws 1L "a") "the same stream"
            Expect.notEqual (draws 1L "a") (draws 2L "a") "another seed"
        }

        test "the symbol version is marked weak in a small ELF file made by hand" {
            // One section of version needs at 0x100 with one entry, its names at 0x140, section headers at 0x180.
            let elf: byte[] = Array.zeroCreate 0x300
            let put at (bytes: byte list) = bytes |> List.iteri (fun k b -> elf[at + k] <- b)
            put 0 [ 0x7fuy; 69uy; 76uy; 70uy; 2uy; 1uy ]
            put 0x28 [ 0x80uy; 1uy ] // section headers
            put 0x3a [ 0x40uy; 0uy; 2uy; 0uy ] // their size and number
            put 0x180 [ 0uy; 0uy; 0uy; 0uy; 0xfeuy; 0xffuy; 0xffuy; 0x6fuy ] // SHT_GNU_verneed
            put (0x180 + 0x18) [ 0x00uy; 1uy ] // at 0x100
            put (0x180 + 0x28) [ 1uy ] // names: section 1
            put (0x1c0 + 0x18) [ 0x40uy; 1uy ] // at 0x140
            put 0x100 [ 1uy; 0uy; 1uy; 0uy; 0uy; 0uy; 0uy; 0uy; 16uy ] // one entry, 16 bytes on
            put (0x110 + 8) [ 1uy ] // its name at 1 among the names
            put 0x141 (List.ofArray "GLIBCXX_3.4.32"B)
            let before = Array.copy elf
            Expect.equal (WeakVersionNeed.Mark(System.Span elf, "GLIBCXX_9.9.9")) 0 "another version is not there"
            Expect.equal elf before "and nothing changes"
            Expect.equal (WeakVersionNeed.Mark(System.Span elf, "GLIBCXX_3.4.32")) 1 "one entry"
            Expect.equal elf[0x114] 2uy "VER_FLG_WEAK"
        }

        test
            "what a large model takes goes back to the system when it is freed, its copies' too, whatever was made meanwhile" {
            // 280 MB each. What still held a freed model would show here; not how the heap is told to behave, since a thread with an arena
            // of its own asks the system for blocks so large anyway.
            let network = Network(Catalogue.Mlp([| 1; 1; 10_000 |], [| 7_000 |], 10))
            let size = 4L * network.TotalCount
            use _ = torch.NewDisposeScope()

            let resident () =
                let self = System.Diagnostics.Process.GetCurrentProcess()
                self.Refresh()
                self.WorkingSet64

            let before = resident ()

            for _ in 1..3 do
                use model = ParameterSet.Zeros network
                use _ = model.Flat.fill_ (1.0.ToScalar()) // a handle of its own to the same numbers
                use copy = model.Clone()
                torch.ones 1_000_000L |> ignore // stays until the test's end
                Expect.isGreaterThan (resident () - before) (size + size / 2L) "both are there"

            Expect.isLessThan (resident () - before) (size / 2L) "and gone"
        }
    ]
