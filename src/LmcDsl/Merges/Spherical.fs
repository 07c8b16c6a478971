namespace LmcDsl

open LmcDsl.Core.Merging

/// Spherical interpolation of two models (Shoemake 1985).
[<AutoOpen>]
module SphericalMerging =

    let private op = Merge.opOf<SphericalMerge> "mergeSpherical" 2

    /// Spherical interpolation with a share of its own.
    let spherical (options: SphericalMerge) : Merge = Merge.ofMethod "spherical" op "spherical interpolation" options

    /// Spherical interpolation halfway between two models.
    let Spherical = spherical (SphericalMerge())
