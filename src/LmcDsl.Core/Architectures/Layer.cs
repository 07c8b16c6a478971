using System.Text.Json.Serialization;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// A layer as data. A layer says two things of itself: how it wires its inputs' axes to its output and its parameters
/// (<see cref="Wire"/>), and what it computes (<see cref="Forward"/>). Parameters, shapes and permutation symmetries all
/// follow from the first. A new kind of layer is one file and one line here.
/// </summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(Dense), "dense")]
[JsonDerivedType(typeof(Activation), "activation")]
[JsonDerivedType(typeof(Flatten), "flatten")]
[JsonDerivedType(typeof(Convolution), "convolution")]
[JsonDerivedType(typeof(Pooling), "pooling")]
[JsonDerivedType(typeof(BatchNorm), "batchNorm")]
[JsonDerivedType(typeof(GroupNorm), "groupNorm")]
[JsonDerivedType(typeof(LayerNorm), "layerNorm")]
[JsonDerivedType(typeof(Sum), "sum")]
public abstract record Layer
{
    /// <summary>How many inputs the layer takes.</summary>
    [JsonIgnore]
    public virtual int Arity => 1;

    /// <summary>Declares parameters and axes.</summary>
    /// <param name="wiring">Where to declare them.</param>
    /// <param name="inputs">What flows in, one signal for each input.</param>
    /// <returns>What flows out.</returns>
    /// <exception cref="Runtime.LmcException">The inputs' shapes do not fit the layer.</exception>
    public abstract Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs);

    /// <summary>Computes the layer's output as a function of its parameters and inputs.</summary>
    /// <param name="parameters">The layer's parameters in the order in which <see cref="Wire"/> declared them.</param>
    /// <param name="inputs">One tensor for each input, the batch axis first.</param>
    /// <param name="mode">Training or evaluation.</param>
    /// <returns>The output, the batch axis first.</returns>
    public abstract Tensor Forward(ReadOnlySpan<Tensor> parameters, ReadOnlySpan<Tensor> inputs, Mode mode);
}

/// <summary>Which of its two behaviours a norm layer shows.</summary>
public enum Mode
{
    /// <summary>Running statistics are used.</summary>
    Evaluation,

    /// <summary>The batch's own statistics are used, and the running ones brought up to date.</summary>
    Training,
}
