/// The paper's experiments, run as a user runs them, at the smallest scale; the page of claims, opened in a real browser.
module LmcDsl.Tests.Process.PaperTests

open System
open System.IO
open System.Text.RegularExpressions
open Expecto
open LmcDsl
open LmcDsl.Paper
open LmcDsl.Tests.Fixtures

let private root = Path.GetFullPath(Path.Combine(__SOURCE_DIRECTORY__, "..", "..", ".."))

let private script name (words: string list) =
    runProgram root "dotnet" ([ "fsi"; "--quiet"; $"experiments/{name}.fsx" ] @ words)

let private smoke folder name words =
    script name ([ "--scale"; "smoke"; "--store"; Path.Combine(folder, "store") ] @ words)

let private dataIsThere = lazy ([ Mnist; FashionMnist; Cifar10 ] |> List.forall (DataSet.isAtHand))

/// Everything at the smallest scale, once, kept until the tests have looked at it.
let private everything =
    lazy
        (let folder = Directory.CreateTempSubdirectory "lmcdsl-paper-"
         AppDomain.CurrentDomain.ProcessExit.Add(fun _ -> folder.Delete(recursive = true))
         let results = Path.Combine(folder.FullName, "results")
         // Pictures of figures are tried elsewhere: drawn by a browser one by one they would take as long as all the rest.
         let code, output, errors = smoke folder.FullName "paper" [ "--no-images"; "--results"; results ]
         Expect.equal code 0 (output + errors)
         folder.FullName, results, output)

let private needingData (work: string * string * string -> unit) =
    if dataIsThere.Value then
        work everything.Value
    else
        skiptest "MNIST, Fashion-MNIST and CIFAR-10 are not all at hand"

let tests =
    testSequenced (
        testList "Paper" [
            test
                "every table and figure comes at the smallest scale, with its files and the command that makes it again" {
                needingData (fun (_, results, _) ->
                    let items = Directory.GetDirectories results |> Array.map Path.GetFileName |> Array.sort

                    Expect.equal
                        (List.ofArray items)
                        [
                            "activationMatching"
                            "figure1"
                            "figure2"
                            "figure3"
                            "figure4"
                            "figure5"
                            "figure6"
                            "regularisation"
                            "table1"
                            "table2"
                            "table3"
                            "theorem41"
                            "theorem42"
                            "width"
                        ]
                        "items"

                    for item in items do
                        let read file = File.ReadAllText(Path.Combine(results, string item, file))
                        Expect.stringContains (read "table.md") $"experiments/{item}.fsx --scale smoke" "the command"
                        Expect.stringContains (read "table.md") "| ---" "a table"
                        Expect.stringContains (read "table.tex") "\\toprule" "for LaTeX"
                        Expect.isFalse ((read "table.md").Contains "Failed measurements") $"{item} failed in part"
                        Expect.isNonEmpty (Directory.GetFiles(Path.Combine(results, string item), "*.csv")) "as CSV")
            }

            test "what is no part of all of the paper has a plan" {
                if not dataIsThere.Value then
                    skiptest "MNIST, Fashion-MNIST and CIFAR-10 are not all at hand"

                inFolder (fun folder ->
                    let code, output, errors = smoke folder "searches" [ "--plan" ]
                    Expect.equal code 0 (output + errors)

                    for what in [ "match weights outwards"; "statistics kept"; "statistics reset" ] do
                        Expect.stringContains output what "a step")
            }

            test "an item on an empty store gives the same bytes again" {
                needingData (fun (_, results, _) ->
                    inFolder (fun folder ->
                        let again = Path.Combine(folder, "again")
                        let code, output, errors = smoke folder "figure3" [ "--no-images"; "--results"; again ]
                        Expect.equal code 0 (output + errors)

                        for file in Directory.GetFiles again do
                            let other = Path.Combine(results, "figure3", Path.GetFileName file)

                            Expect.equal (File.ReadAllBytes file) (File.ReadAllBytes other) file))
            }

            test "run again, everything comes from the store in the same bytes" {
                needingData (fun (folder, results, _) ->
                    let before = contentsOf results
                    let code, output, errors = smoke folder "paper" [ "--no-images"; "--results"; results ]
                    Expect.equal code 0 (output + errors)
                    Expect.stringContains output "all done before" "nothing to do"
                    Expect.equal (contentsOf results) before "same bytes")
            }

            test "each claim has a verdict, in the terminal and on the page" {
                needingData (fun (_, results, output) ->
                    let page = File.ReadAllText(Path.Combine(results, "report.html"))

                    for claim in Claims.at Smoke do
                        Expect.stringContains output claim.Sentence "in the terminal"
                        Expect.stringContains page (string (Net.WebUtility.HtmlEncode claim.Sentence)) "on the page"

                    Expect.isFalse (output.Contains "not measured") "every claim was measured"
                    Expect.stringContains output "cannot be decided at this scale" "the smallest one decides nothing"
                    Expect.stringContains page "CIFAR-10: the images of this copy" "what must be told of a copy"
                    Expect.stringContains page "Checks of the code" "theorems apart")
            }

            test
                "in a real browser every figure of the page of claims is drawn, with no error and nothing asked of the network" {
                needingData (fun (_, results, _) ->
                    match Browser.tryFind () with
                    | None -> skiptest "no Chromium is installed"
                    | Some browser ->
                        inFolder (fun folder ->
                            // A copy that writes down what goes wrong while it loads.
                            let html = File.ReadAllText(Path.Combine(results, "report.html"))

                            let watch =
                                "<script>window.seen=[];addEventListener('error',e=>seen.push(String(e.message||e.target.src)),true);"
                                + "for(const k of['error','warn']){const f=console[k];console[k]=(...a)=>{seen.push(a.join(' '));f(...a)}}</script>"

                            let report =
                                "<script>addEventListener('load',()=>setTimeout(()=>{document.title=JSON.stringify({seen,"
                                + "plots:document.querySelectorAll('.js-plotly-plot').length,"
                                + "drawn:document.querySelectorAll('.js-plotly-plot .main-svg').length>0&&[...document.querySelectorAll('.js-plotly-plot')].every(p=>p.querySelector('.cartesianlayer .plot *')),"
                                + "asked:performance.getEntriesByType('resource').filter(r=>!r.name.startsWith('data:')).map(r=>r.name)})},500))</script>"

                            let copy = Path.Combine(folder, "page.html")

                            File.WriteAllText(
                                copy,
                                html.Replace("<head>", "<head>" + watch).Replace("</body>", report + "</body>")
                            )

                            let dom =
                                Browser.run browser [
                                    "--virtual-time-budget=20000"
                                    "--dump-dom"
                                    Uri(copy).AbsoluteUri
                                ]

                            let title = Regex.Match(dom, "<title>(\\{.*?\\})</title>").Groups[1].Value
                            let found = Json.parse (string (Net.WebUtility.HtmlDecode title))
                            Expect.equal found["seen"].Items [] "no error in the console"
                            Expect.equal found["asked"].Items [] "nothing asked of the network"
                            Expect.isTrue found["drawn"].Boolean "every figure is drawn"

                            let figures =
                                Regex.Matches(Regex.Replace(html, "(?s)<script>.*?</script>", ""), "<figure>").Count

                            Expect.equal found["plots"].Int figures "as many as there are"
                            Expect.isGreaterThan figures 5 "and there are some"))
            }

            test "the experiments beyond the paper have a plan together, in which a name says one thing" {
                inFolder (fun folder ->
                    let code, output, errors = smoke folder "beyond" [ "--plan" ]
                    Expect.equal code 0 (output + errors)
                    Expect.stringContains output " steps: " "its size"
                    Expect.stringContains output "straight-through Sinkhorn search" "a search")
            }

            test "wrong words for an item are told in one line" {
                let refuses words parts =
                    let code, _, errors = script "table1" words
                    Expect.notEqual code 0 "exit code"
                    Expect.equal (errors.Trim().Split('\n').Length) 1 errors

                    for part in parts do
                        Expect.stringContains errors part "the line"

                refuses [ "--scale"; "huge" ] [ "--scale"; "smoke, laptop or paper"; "huge" ]
                refuses [ "--dataset"; "mnist" ] [ "--dataset"; "table1"; "data sets of its own" ]
            }
        ]
    )
