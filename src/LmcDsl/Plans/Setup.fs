namespace LmcDsl

open LmcDsl.Core.Architectures
open LmcDsl.Core.Runtime
open LmcDsl.Core.Training

/// Which seeds the members of a population have.
type Seeds =
    /// Member i has seed i: any number of members.
    | Counting
    /// Member i has the i-th of these.
    | Listed of int64 list

/// How models are trained: everything but which member of a population it is. Changed by `with`.
type Setup =
    {
        /// What is learned.
        Data: DataSet
        /// The network for a data set's shape and classes, for example `mlp [ 512; 512; 512 ]`.
        Network: DataSet -> Architecture
        /// Passes over the training data.
        Epochs: int
        /// Examples in one step.
        BatchSize: int
        /// Peak learning rate.
        LearningRate: float
        /// Coefficient of the L2 penalty on all learned parameters.
        WeightDecay: float
        /// `Adam()`, `AdamW()` or `Sgd(momentum)`.
        Optimizer: Optimizer
        /// `Constant()`, `LinearUpDown(rise)` or `Cosine(warmUp)`.
        Schedule: Schedule
        /// How training images are varied.
        Augmentation: Augmentation
        /// In which numbers dense layers and convolutions multiply while training: `Precision.Mixed` takes bfloat16, which is faster where the
        /// processor has it; weights and sums stay in float32.
        Precision: Precision
        /// What all members have in common before they part: `Some(SharedStart(seed, epochs))`, the first parameters and the order of the
        /// examples of the first epochs.
        Shared: SharedStart option
        /// Seed of each member.
        Seeds: Seeds
        /// `cpu`, `cuda` or `cuda:N`.
        Device: string
        /// Threads of one Torch operation. They change rounding, so they are part of a model's key.
        Threads: int
    }

/// The sizes of a transformer.
type TransformerSize =
    {
        /// Number of blocks.
        Layers: int
        /// Numbers of a token's vector.
        Width: int
        /// Heads of attention; divides the width.
        Heads: int
        /// Tokens of an example.
        Context: int
    }

/// The networks of the catalogue, as functions of a data set.
[<AutoOpen>]
module Networks =

    /// A multilayer perceptron with these hidden widths, ReLU and biases.
    let mlp (hidden: int list) (data: DataSet) : Architecture =
        Catalogue.Mlp(List.toArray data.Shape, List.toArray hidden, data.Classes)

    let private catalogued (make: int list -> int -> Architecture) (data: DataSet) = make data.Shape data.Classes

    /// VGG11 with the given width multiplier and norm.
    let vgg11 (width: float) (norm: Norm) : DataSet -> Architecture =
        catalogued (fun shape classes -> Catalogue.Vgg11(List.toArray shape, width, classes, norm))

    /// VGG16 with the given width multiplier and norm.
    let vgg16 (width: float) (norm: Norm) : DataSet -> Architecture =
        catalogued (fun shape classes -> Catalogue.Vgg16(List.toArray shape, width, classes, norm))

    /// ResNet20 with the given width multiplier and norm.
    let resnet20 (width: float) (norm: Norm) : DataSet -> Architecture =
        catalogued (fun shape classes -> Catalogue.ResNet20(List.toArray shape, width, classes, norm))

    /// ResNet50 with the given width multiplier and norm.
    let resnet50 (width: float) (norm: Norm) : DataSet -> Architecture =
        catalogued (fun shape classes -> Catalogue.ResNet50(List.toArray shape, width, classes, norm))

    /// A network of the catalogue by its word, with the given width multiplier and norm: vgg11, 13, 16 and 19 (`-bias` for
    /// convolutions with biases, `-imagenet` for torchvision's classifier), resnet20, 32, 44, 56 and 110 for CIFAR (`-a` for
    /// shortcuts without parameters, `-3x3` for those of 3x3), resnet18, 34, 50, 101 and 152 for ImageNet.
    let catalogue (name: string) (width: float) (norm: Norm) : DataSet -> Architecture =
        catalogued (fun shape classes -> Catalogue.Named(name, List.toArray shape, width, classes, norm))

    // A text's windows are cut to the network's context, so its own shape does not count.
    let private onText (make: int -> Architecture) (data: DataSet) : Architecture =
        if data.Windows.IsNone then
            raise (LmcException $"language model: expected text as data, found {data.Name}; TinyShakespeare is one")

        make data.Classes

    /// A language model in the manner of GPT-2 with parts of one's own: positions, norms, key heads, gates, biases.
    let gptOf (options: TransformerOptions) : DataSet -> Architecture =
        onText (fun tokens -> Catalogue.Gpt(tokens, options))

    /// A language model in the manner of GPT-2: causal attention, learned positions, layer norms before each part, GELU.
    let gpt (size: TransformerSize) : DataSet -> Architecture =
        gptOf (TransformerOptions(Layers = size.Layers, Width = size.Width, Heads = size.Heads, Context = size.Context))

    /// A language model in the manner of Llama: rotary positions, root-mean-square norms, gated feed-forward parts, no biases.
    let llama (size: TransformerSize) : DataSet -> Architecture =
        let options =
            TransformerOptions(Layers = size.Layers, Width = size.Width, Heads = size.Heads, Context = size.Context)

        onText (fun tokens -> Catalogue.Llama(tokens, options))

    /// A classifier of images by patches of a side (a vision transformer), with parts of one's own.
    let vit (patch: int) (options: TransformerOptions) : DataSet -> Architecture =
        catalogued (fun shape classes -> Catalogue.Vit(List.toArray shape, patch, classes, options))

/// Networks from files.
[<RequireQualifiedAccess>]
module Network =

    /// The network of a file: an ONNX export (`.onnx`), a Hugging Face folder, or a description in JSON. What is in the file is what models of it are known by.
    /// A data set of other shape or classes is refused.
    let ofFile (path: string) : DataSet -> Architecture =
        let architecture =
            lazy
                (if LmcDsl.Core.Checkpoints.TensorSource.IsOnnx path then
                     LmcDsl.Core.Runtime.TorchRuntime.Load() |> ignore
                     LmcDsl.Core.Importing.OnnxModel.Read(path).Architecture
                 elif LmcDsl.Core.Importing.ModelFolder.Is path then
                     LmcDsl.Core.Runtime.TorchRuntime.Load() |> ignore
                     use folder = LmcDsl.Core.Importing.ModelFolder.Open path
                     folder.Architecture
                 else
                     Architecture.FromJson(LmcDsl.Core.Runtime.InputFile.ReadText(path, "a network's description")))

        fun data ->
            let found = architecture.Value

            if data.Windows.IsNone && List.ofSeq found.Input <> data.Shape then
                let shown (sizes: int seq) = System.String.Join(" x ", sizes)

                raise (
                    LmcDsl.Core.Runtime.LmcException
                        $"{path}: expected a network for inputs of {shown data.Shape} as {data.Name} has, found one for {shown found.Input}"
                )

            found

/// Set-ups to begin with.
[<RequireQualifiedAccess>]
module Setup =

    // What says how many cores the machine has that the plan was made on, to the tasks of a cluster: they must make the same plan.
    let internal coresVariable = "LMC_CORES"

    let private cores =
        match System.Int32.TryParse(System.Environment.GetEnvironmentVariable coresVariable) with
        | true, cores when cores >= 1 -> cores
        | _ -> System.Environment.ProcessorCount

    /// The MLP of Git Re-Basin (2209.04836) and of 2402.04051: 784-512-512-512-10 on Fashion-MNIST, Adam at 1e-3.
    let standard =
        {
            Data = FashionMnist
            Network = mlp [ 512; 512; 512 ]
            Epochs = 10
            BatchSize = 128
            LearningRate = 1e-3
            WeightDecay = 0.0
            Optimizer = Adam()
            Schedule = Constant()
            Augmentation = Augmentation.None
            Precision = Precision.Float32
            Shared = None
            Seeds = Counting
            Device = "cpu"
            Threads = cores
        }

    /// The part of a set-up that the core's trainer takes.
    let training (setup: Setup) =
        TrainingOptions(
            Epochs = setup.Epochs,
            BatchSize = setup.BatchSize,
            LearningRate = setup.LearningRate,
            WeightDecay = setup.WeightDecay,
            Optimizer = setup.Optimizer,
            Schedule = setup.Schedule,
            Augmentation = setup.Augmentation,
            Precision = setup.Precision,
            Shared = Option.toObj setup.Shared
        )
