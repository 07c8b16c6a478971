using LmcDsl.Core.Checkpoints;

namespace LmcDsl.Core.Importing;

/// <summary>How networks of some <c>model_type</c> are written in the language of layers, under the names of their checkpoints' tensors.</summary>
internal abstract class FolderTemplate
{
    /// <summary>The values of <c>model_type</c> that it is for.</summary>
    public abstract IReadOnlyList<string> Types { get; }

    /// <summary>The prefixes under which a model with a head keeps its body; a body alone has none of them.</summary>
    public abstract IReadOnlyList<string> Prefixes { get; }

    /// <summary>What the names of the body's tensors begin with, after the prefix: others of that kind do not belong to the model.</summary>
    public abstract IReadOnlyList<string> Body { get; }

    /// <summary>Whether a name, after the prefix, is that of a constant that is stored beside the parameters.</summary>
    /// <param name="name">The name.</param>
    public virtual bool IsBuffer(string name) => name.EndsWith("position_ids", StringComparison.Ordinal);

    /// <summary>Writes the network.</summary>
    /// <param name="to">What it is written with.</param>
    public abstract void Write(FolderBuilder to);

    /// <summary>The name that the network has for a tensor.</summary>
    /// <param name="name">The name in the checkpoint.</param>
    /// <returns>Without the prefix and what training wrapped around modules, and norms' numbers as they are called today.</returns>
    public string NameOf(string name)
    {
        name = Prefix.Bare(name);
        foreach (var prefix in Prefixes)
            if (name.StartsWith(prefix, StringComparison.Ordinal))
            {
                name = name[prefix.Length..];
                break;
            }

        return name.EndsWith("LayerNorm.gamma", StringComparison.Ordinal) ? $"{name[..^5]}weight"
            : name.EndsWith("LayerNorm.beta", StringComparison.Ordinal) ? $"{name[..^4]}bias"
            : name;
    }

    /// <summary>Whether a name, as <see cref="NameOf"/> gives it, is one of the body's.</summary>
    public bool IsOfBody(string name) => Body.Any(part => name.StartsWith(part, StringComparison.Ordinal));
}
