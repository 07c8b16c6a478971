namespace LmcDsl

open System.Globalization

/// Numbers as text, the same whatever the machine's language.
[<RequireQualifiedAccess>]
module Number =

    /// With so many digits after the point; without the sign of what is shown as 0.
    let fixedPoint (digits: int) (value: float) : string =
        let text = value.ToString($"F{digits}", CultureInfo.InvariantCulture)

        if text.StartsWith '-' && text.TrimStart('-', '0', '.') = "" then
            text.Substring 1
        else
            text

    /// The shortest text that gives the number back.
    let shortest (value: float) : string = value.ToString("R", CultureInfo.InvariantCulture)

    /// The number that a text says, where it says one.
    let tryParse (text: string) : float option =
        match System.Double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture) with
        | true, value -> Some value
        | _ -> None

    /// The number that a text says.
    let parse (text: string) : float = System.Double.Parse(text, NumberStyles.Float, CultureInfo.InvariantCulture)
