using System.Text.Json.Serialization;

namespace LmcDsl.Core.Architectures;

/// <summary>How a transformer knows where its tokens stand.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<PositionEncoding>))]
public enum PositionEncoding
{
    /// <summary>A learned vector for each position, added to the tokens' (GPT, BERT).</summary>
    Learned,

    /// <summary>Sines and cosines, added to the tokens' vectors (1706.03762).</summary>
    Sinusoidal,

    /// <summary>Queries and keys turned by their position's angle (2104.09864).</summary>
    Rotary,
}

/// <summary>Where a transformer has its norms, and which.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<TransformerNorm>))]
public enum TransformerNorm
{
    /// <summary>Layer norm before each part of a block and after the last one (GPT-2).</summary>
    LayerBefore,

    /// <summary>Root-mean-square norm in the same places (Llama).</summary>
    RmsBefore,

    /// <summary>Layer norm after each part, on the residual stream itself (BERT).</summary>
    LayerAfter,
}

/// <summary>The sizes and parts of a transformer.</summary>
public sealed record TransformerOptions
{
    /// <summary>Number of blocks.</summary>
    public int Layers { get; init; } = 4;

    /// <summary>Numbers of a token's vector.</summary>
    public int Width { get; init; } = 128;

    /// <summary>Heads of queries; divides the width.</summary>
    public int Heads { get; init; } = 4;

    /// <summary>Heads of keys and values, which divide those of queries; 0 for as many.</summary>
    public int KeyHeads { get; init; }

    /// <summary>Units between the two products of a feed-forward part; 0 for four times the width.</summary>
    public int Hidden { get; init; }

    /// <summary>Positions of an example.</summary>
    public int Context { get; init; } = 128;

    /// <summary>How positions are known.</summary>
    public PositionEncoding Positions { get; init; } = PositionEncoding.Learned;

    /// <summary>Which norms, and where.</summary>
    public TransformerNorm Norm { get; init; } = TransformerNorm.LayerBefore;

    /// <summary>Whether the feed-forward part is gated, <c>(silu(x G') * x U') D'</c> (SwiGLU, 2002.05202); else GELU between two products.</summary>
    public bool Gated { get; init; }

    /// <summary>Whether products within blocks have biases.</summary>
    public bool Bias { get; init; } = true;

    /// <summary>Whether the output reads the embedding's table in place of one of its own.</summary>
    public bool Tied { get; init; }
}
