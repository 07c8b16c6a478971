namespace LmcDsl

open LmcDsl.Core.Data

/// Shapes drawn by code.
[<AutoOpen>]
module GlyphsData =

    let private read scaling =
        let struct (train, test) = LmcDsl.Core.Data.Glyphs.Draw()
        ImageData.Normalise(train, test, LmcDsl.Core.Data.Glyphs.Classes, Scaling.given scaling)

    /// Shapes drawn by code, 20,000 + 4,000 grey images of 28x28 in 10 classes; needs no files.
    let Glyphs =
        {
            Name = "glyphs"
            Title = "glyphs"
            Shape = [ 1; 28; 28 ]
            Classes = LmcDsl.Core.Data.Glyphs.Classes
            Windows = None
            Bytes = true
            Content = fun () -> Json.Text LmcDsl.Core.Data.Glyphs.Version
            Locate = fun () -> Ok []
            Read = read
            Scaling = Standardised
        }
