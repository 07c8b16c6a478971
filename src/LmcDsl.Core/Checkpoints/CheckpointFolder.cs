using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Checkpoints;

/// <summary>Folders in the place of a checkpoint: which file in them it is.</summary>
internal static class CheckpointFolder
{
    private static readonly string[] Usual =
    [
        "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json",
        "diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.safetensors.index.json",
    ];

    // What other tools' folders hold, and what to do with them.
    private static readonly (string File, string Description)[] Others =
    [
        (".metadata", "a folder of torch.distributed.checkpoint: make one file of it by torch.distributed.checkpoint.format_utils.dcp_to_torch_save"),
        ("saved_model.pb", "a TensorFlow SavedModel: save the tensors as safetensors"),
        ("zero_to_fp32.py", "a DeepSpeed folder: make one file of it by its zero_to_fp32.py"),
        ("_CHECKPOINT_METADATA", "an Orbax folder (Flax): save the tensors as safetensors"),
        ("_METADATA", "an Orbax folder (Flax): save the tensors as safetensors"),
        ("adapter_model.safetensors", "a folder of an adapter (LoRA): merge it into its model and save that"),
    ];

    /// <summary>The checkpoint's file: the path itself, or the one in that folder that has a usual name.</summary>
    /// <param name="path">A path that a user gave.</param>
    /// <returns>The path of a file.</returns>
    /// <exception cref="LmcException">It is a folder without such a file; the line says what it looks like.</exception>
    public static string FileIn(string path)
    {
        if (!InputFile.IsFolder(path)) return path;
        foreach (var name in Usual)
            if (File.Exists(Path.Combine(path, name))) return Path.Combine(path, name);
        foreach (var (file, description) in Others)
            if (File.Exists(Path.Combine(path, file))) throw new LmcException($"{Excerpt.Of(path)}: expected a checkpoint, found {description}");
        string[] candidates = [.. Directory.EnumerateFiles(path).Select(file => Path.GetFileName(file)!)
            .Where(name => Path.GetExtension(name) is ".safetensors" or ".pt" or ".pth" or ".ckpt" or ".bin").Take(100).Order(StringComparer.Ordinal)];
        throw new LmcException(
            $"{Excerpt.Of(path)}: expected a checkpoint, found a folder without {string.Join(" or ", Usual.Take(4))}{(candidates.Length > 0 ? $" (name one of its files: {Excerpt.Of(candidates, 5)})" : "")}");
    }
}
