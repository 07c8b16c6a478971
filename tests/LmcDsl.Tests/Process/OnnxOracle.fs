/// ONNX Runtime, which reads the same files by itself: what imports are held against.
module LmcDsl.Tests.Process.OnnxOracle

open System
open Microsoft.ML.OnnxRuntime
open Microsoft.ML.OnnxRuntime.Tensors
open TorchSharp

let private numbers (tensor: torch.Tensor) = tensor.``to``(torch.float32).contiguous().data<float32>().ToArray()

/// What the first output of a model is for one example: its inputs one after the other, each flattened, as the library reads them; sizes that
/// the file leaves open are `length`.
let output (path: string) (length: int) (example: torch.Tensor) : torch.Tensor =
    use options =
        new SessionOptions(IntraOpNumThreads = 2, LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR)

    use session = new InferenceSession(path, options)
    let given = numbers (example.flatten ())
    let mutable start = 0

    let inputs =
        [
            for name in session.InputNames do
                let meta = session.InputMetadata[name]

                let shape =
                    meta.Dimensions
                    |> Array.mapi (fun d size ->
                        if size >= 1 then size
                        elif d = 0 then 1
                        else length)

                let count = Array.fold (*) 1 shape
                let part = given[start .. start + count - 1]
                start <- start + count

                if meta.ElementType = typeof<int64> then
                    NamedOnnxValue.CreateFromTensor(name, DenseTensor<int64>(Array.map int64 part, shape))
                else
                    NamedOnnxValue.CreateFromTensor(name, DenseTensor<float32>(part, shape))
        ]

    use results = session.Run(inputs, [ session.OutputNames[0] ])
    let found = (Seq.head results).AsTensor<float32>()
    torch.tensor(Seq.toArray found).reshape [| for size in found.Dimensions.ToArray() -> int64 size |]
