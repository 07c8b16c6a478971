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
