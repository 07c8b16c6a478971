using System.Text.Json.Serialization;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// A layer as data. A layer says two things of itself: how it wires its inputs' axes to its output and its parameters
/// (<see cref="Wire"/>), and what it computes (<see cref="Forward"/>). Parameters, shapes and permutation symmetries all
/// follow from the first. What else is asked of layers are questions with an answer for all of them
/// (<see cref="Linear"/>, <see cref="Lipschitz"/>, <see cref="Statistics"/>), so that nobody asks for a layer's type.
/// </summary>
/// <remarks>
/// A new layer is one class, in this library, in another or in a script. Its public constructor's arguments are what it is:
/// each needs a public property of its name and is written to JSON under that name, beside <c>kind</c>, the class's name.
/// A kind is known, and read back, once an instance was made or <see cref="Register{T}"/> was called.
/// </remarks>
[JsonConverter(typeof(LayerConverter))]
public abstract class Layer
{
    /// <summary>Makes the layer's kind known.</summary>
    protected Layer() => LayerKinds.Add(GetType());

    /// <summary>Which layer this is, in JSON: the class's name, beginning in lower case.</summary>
    public string Kind => LayerKinds.NameOf(GetType());

    /// <summary>
    /// Raised when the layer computes something else than before under the same arguments: it is part of what models are known by.
    /// </summary>
    public virtual int Version => 1;

    /// <summary>What people call it, in tables and pictures of networks.</summary>
    public virtual string Title => GetType().Name;

    /// <summary>How many inputs the layer takes; 0 for any number from 1 on.</summary>
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
    public abstract Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode);

    /// <summary>
    /// The layer as a linear map with an additive bias; null where it is none. Such a layer's output is linear in its parameters.
    /// </summary>
    public virtual LinearMap? Linear => null;

    /// <summary>
    /// Where the layer applies one function to each entry and has no parameters, a Lipschitz constant of that function:
    /// |f(x) - f(y)| is at most this times |x - y|. Null elsewhere.
    /// </summary>
    public virtual double? Lipschitz => null;

    /// <summary>
    /// The largest class of transformations of its inputs' units that the layer carries over to its output, its parameters transformed with
    /// them. Permutations, where it does not say more: that is what a function of each unit by itself allows.
    /// </summary>
    public virtual SymmetryClass Commutes => SymmetryClass.Permutation;

    /// <summary>Where the layer reads tokens, and not numbers, how many there are: whole numbers from 0 on. Null elsewhere.</summary>
    public virtual int? Vocabulary => null;

    /// <summary>
    /// Whether the layer multiplies its inputs, weights among them, with each other, so that what it reads of the examples is what activation
    /// matching compares, as it does for layers with weights of their own.
    /// </summary>
    public virtual bool MultipliesInputs => false;

    /// <summary>The running mean and variance of its input's channels that the layer keeps; null where it keeps none.</summary>
    public virtual RunningStatistics? Statistics => null;

    /// <summary>Makes a kind of layer known before an instance is made, so that networks that have it can be read.</summary>
    /// <typeparam name="T">The layer's class.</typeparam>
    /// <exception cref="Runtime.LmcException">
    /// The class's name is another layer's, or the arguments of its constructor cannot be read from its properties.
    /// </exception>
    public static void Register<T>()
        where T : Layer => LayerKinds.Find(LayerKinds.Add(typeof(T)));
}

/// <summary>A layer as a matrix: <c>output = weight x + bias</c>, the weight's first axis being the outputs.</summary>
/// <param name="Weight">The weight's name within the layer.</param>
/// <param name="Bias">The bias's name within the layer; null where there is none.</param>
/// <param name="Columns">
/// What the weight multiplies, from the layer's input: <c>[weight.numel / outputs, samples]</c>, so that
/// <c>weight.flatten(1) @ columns</c> are the outputs; null where each output has columns of its own.
/// </param>
public sealed record LinearMap(string Weight, string? Bias, Func<Tensor, Tensor>? Columns);

/// <summary>Where a layer keeps the mean and variance of its input's channels.</summary>
/// <param name="Mean">The parameter's name within the layer, of shape <c>[channels]</c>.</param>
/// <param name="Variance">The parameter's name within the layer, of shape <c>[channels]</c>.</param>
public sealed record RunningStatistics(string Mean, string Variance);

/// <summary>Which of its two behaviours a norm layer shows.</summary>
public enum Mode
{
    /// <summary>Running statistics are used.</summary>
    Evaluation,

    /// <summary>The batch's own statistics are used, and the running ones brought up to date.</summary>
    Training,
}
