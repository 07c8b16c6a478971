/// Programs in the place of Slurm's own, first on the path: they run the tasks of an array one after another, and misbehave as told. For what
/// a real cluster does only now and then.
module LmcDsl.Tests.Process.FakeSlurm

open System
open System.IO
open Expecto
open LmcDsl.Tests.Process.Trial
open LmcDsl.Trials

// Where it keeps what it knows: the number of the last array, how tasks ended, how often squeue was asked.
let private state = ".slurm"

let private sbatch =
    """mkdir -p $STATE
for word in "$@"; do
  case "$word" in
    --array=*) tasks=${word#--array=0-} ;;
    --output=*) log=${word#--output=} ;;
  esac
  wrap=$word
done
tasks=${tasks%%%*}
array=$(($(cat $STATE/array 2>/dev/null || echo 0) + 1))
echo $array >$STATE/array
echo "$((tasks + 1))" >>$STATE/sizes
task=0
while [ $task -le $tasks ]; do
  BEFORE
  if [ -z "$skip" ]; then
    SLURM_ARRAY_TASK_ID=$task sh -c "$wrap" >>"$(echo "$log" | sed "s/%a/$task/;s/%%/%/g")" 2>&1
    code=$?
    if [ $code -eq 0 ]; then echo "${array}_$task|COMPLETED|0:0"; else echo "${array}_$task|FAILED|$code:0"; fi >>$STATE/endings
  fi
  skip=
  task=$((task + 1))
done
AFTER
echo "$array"
"""

/// How it misbehaves.
type Manners =
    {
        /// Lines of sbatch before each task; one that sets `skip` has it not run.
        Before: string
        /// Lines of sbatch after all tasks.
        After: string
        /// Lines of squeue.
        Squeue: string
    }

/// One that does what it should.
let sound = { Before = ""; After = ""; Squeue = "" }

/// Runs a sweep with such a cluster: exit code, output, errors.
let run (manners: Manners) (folder: string) (words: string list) : int * string * string =
    let programs = Path.Combine(folder, "programs")
    Directory.CreateDirectory programs |> ignore

    let program name (text: string) =
        let path = Path.Combine(programs, name)
        File.WriteAllText(path, "#!/bin/sh\n" + text.Replace("$STATE", Path.Combine(folder, state)))
        File.SetUnixFileMode(path, UnixFileMode.UserRead ||| UnixFileMode.UserWrite ||| UnixFileMode.UserExecute)

    program "sbatch" (sbatch.Replace("BEFORE", manners.Before).Replace("AFTER", manners.After))
    program "squeue" manners.Squeue
    program "sacct" "cat $STATE/endings\n"
    program "scontrol" "echo 'MaxArraySize = 1001'\n"
    let path = $"""{programs}:{Environment.GetEnvironmentVariable "PATH"}"""

    let places =
        if List.contains "--store" words then
            [ "--results"; "results"; "--no-images" ]
        else
            withoutImages

    finish (startAsSet [ "PATH", path ] folder SmallSweep.tiny (places @ [ "--on"; "slurm" ] @ words))

/// How many tasks each array had.
let sizes (folder: string) : int list =
    File.ReadAllLines(Path.Combine(folder, state, "sizes")) |> Array.map int |> List.ofArray
