/// The documentation site: built by fsdocs, links checked. Uses nothing but .NET itself.
module Site

open System
open System.IO
open System.Text.RegularExpressions

/// What of a site leads nowhere: every address of its own pages that is no file of it, and every place within a page that is not there.
let broken (site: string) : string list =
    let pages = Directory.GetFiles(site, "*.html", SearchOption.AllDirectories)

    let anchors =
        dict [
            for page in pages ->
                Path.GetFullPath page,
                set [
                    for m in Regex.Matches(File.ReadAllText page, "(?:id|name)=[\"']([^\"']+)[\"']") ->
                        Net.WebUtility.HtmlDecode m.Groups[1].Value
                ]
        ]

    [
        for page in pages do
            let text = Regex.Replace(File.ReadAllText page, "(?s)<script.*?</script>|<!--.*?-->|<pre.*?</pre>", "")

            for m in Regex.Matches(text, "(?:href|src)=[\"']([^\"']*)[\"']") do
                let address = Net.WebUtility.HtmlDecode m.Groups[1].Value

                if not (Regex.IsMatch(address, "^([a-z]+:|//)")) then
                    let parts = address.Split('#', 2)
                    let path = Uri.UnescapeDataString(parts[0].Split('?').[0])

                    let target =
                        if path = "" then
                            Path.GetFullPath page
                        elif path.StartsWith '/' then
                            Path.GetFullPath(Path.Combine(site, path.TrimStart '/'))
                        else
                            Path.GetFullPath(Path.Combine(string (Path.GetDirectoryName page), path))

                    let target = if Directory.Exists target then Path.Combine(target, "index.html") else target
                    let shown = Path.GetRelativePath(site, page)

                    if not (File.Exists target) then
                        $"{shown}: {address}"
                    elif parts.Length = 2 && parts[1] <> "" && anchors.ContainsKey target then
                        if not (anchors[target].Contains(Uri.UnescapeDataString parts[1])) then
                            $"{shown}: {address}"
    ]
    |> List.distinct

let private root = Path.GetFullPath(Path.Combine(__SOURCE_DIRECTORY__, ".."))

/// The pages to make a site of, in a folder beside the project's own: the documentation but for results, and what stands beside it. Links to
/// sources, which no page of the site shows, become their names.
let gather (folder: string) =
    if Directory.Exists folder then
        Directory.Delete(folder, recursive = true)

    Directory.CreateDirectory folder |> ignore

    let put (source: string) (name: string) =
        let text = File.ReadAllText source

        let linked =
            Regex.Replace(
                text,
                @"\[([^\]]+)\]\(((?:\.\./|docs/|tests/)[^)]*|results/[^)]*)\)",
                fun (m: Match) ->
                    let target = m.Groups[2].Value

                    match Path.GetFileName(target.Split('#').[0]) with
                    | "CHANGELOG.md" -> $"[{m.Groups[1].Value}](changelog.md)"
                    | "CONTRIBUTING.md" -> $"[{m.Groups[1].Value}](contributing.md)"
                    | page when target.StartsWith "docs/" && page.EndsWith ".md" && not (target.Contains "results") ->
                        $"[{m.Groups[1].Value}]({page})"
                    | _ -> m.Groups[1].Value
            )

        let page = linked.Replace("](CHANGELOG.md)", "](changelog.md)")

        // The menu shows titles as they are.
        let heading = Regex.Match(page, "(?m)^# (.*)$").Groups[1].Value.Replace("`", "").Trim()

        let category, order =
            match name with
            | "index.md" -> "", 0
            | "experiments.md"
            | "tool.md" -> "Begin", 1
            | "changelog.md"
            | "contributing.md"
            | "license.md"
            | "design.md"
            | "extending.md" -> "Project", 3
            | _ -> "Guides", 2

        let front =
            if category = "" || page.StartsWith "---" || page.StartsWith "(**" then
                ""
            else
                $"---\ntitle: {heading.Split(':').[0]}\ncategory: {category}\ncategoryindex: {order}\n---\n\n"

        File.WriteAllText(Path.Combine(folder, name), front + page)

    for file in Directory.GetFiles(Path.Combine(root, "docs")) do
        match Path.GetExtension file with
        | ".md"
        | ".fsx" -> put file (string (Path.GetFileName file))
        | _ -> ()

    for file in [ "CHANGELOG.md"; "CONTRIBUTING.md" ] do
        put (Path.Combine(root, file)) (file.ToLowerInvariant())

    let license = File.ReadAllText(Path.Combine(root, "LICENSE"))

    File.WriteAllText(
        Path.Combine(folder, "license.md"),
        $"---\ntitle: Licence\ncategory: Project\ncategoryindex: 3\n---\n\n# Licence\n\n{license}"
    )

    Directory.CreateDirectory(Path.Combine(folder, "img")) |> ignore

    for file in Directory.GetFiles(Path.Combine(root, "docs", "img")) do
        File.Copy(file, Path.Combine(folder, "img", string (Path.GetFileName file)))

/// Makes a site that opens from any folder, and asks nothing of any network: addresses from the site's root become relative ones, fonts of
/// others and files that are no part of it go.
let settle (site: string) (address: string) =
    for page in Directory.GetFiles(site, "*.html", SearchOption.AllDirectories) do
        let depth = Path.GetRelativePath(site, page).Split(Path.DirectorySeparatorChar).Length - 1
        let up = if depth = 0 then "./" else String.replicate depth "../"
        let text = File.ReadAllText page
        let local = Regex.Replace(text, "<link[^>]*fonts\\.(googleapis|gstatic)\\.com[^>]*>", "")
        let relative = Regex.Replace(local, $"(?<=(?:href|src)=[\"']){Regex.Escape address}", up)

        // Of some types of C# fsdocs makes no page, and of members that are inherited no place: their names stay, the links go.
        let inReference =
            Regex.Replace(
                Regex.Replace(relative, @">\s*Source Repository\s*<", ">Contributing<"),
                "<a [^>]*href=\"((?:\\.\\./)?reference/[^\"#]+|\\./reference/[^\"#]+)(#[^\"]*)?\"[^>]*>(.*?)</a>",
                (fun (m: Match) ->
                    let target = Path.Combine(string (Path.GetDirectoryName page), m.Groups[1].Value)

                    let isThere =
                        File.Exists target
                        && (m.Groups[2].Value.Length < 2
                            || File.ReadAllText(target).Contains
                                $"id=\"{Uri.UnescapeDataString(m.Groups[2].Value.Substring 1)}\"")

                    if isThere || depth = 0 then m.Value else m.Groups[3].Value),
                RegexOptions.Singleline
            )

        // What is wider than a telephone moves within its own frame.
        let style = "<style>main table { display: block; overflow-x: auto; max-width: 100%; }</style></head>"
        File.WriteAllText(page, inReference.Replace("</head>", style))

    for file in Directory.GetFiles(site, "NuGet.config", SearchOption.AllDirectories) do
        File.Delete file
