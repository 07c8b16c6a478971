using System.Globalization;
using System.Text.Json;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Importing;

/// <summary>
/// A Hugging Face folder's <c>config.json</c>. Templates ask it for what they compute with, and it remembers what it answered, so that two
/// models can be compared by it. What a template does not ask for is harmless by its name, refused since it changes what is computed, or
/// not known.
/// </summary>
internal sealed class FolderConfig
{
    /// <summary>The file's name in a folder.</summary>
    public const string FileName = "config.json";

    /// <summary>The field that says which template it is.</summary>
    public const string TypeField = "model_type";

    // Dropout, how weights are drawn, generation of text, bookkeeping.
    private static readonly string[] InertParts =
        ["dropout", "_pdrop", "drop_path", "stochastic_depth", "initializer", "init_", "token_id", "summary_", "_version", "beam", "_penalty", "ngram", "return_dict", "dtype", "_name_or_path"];

    private static readonly HashSet<string> Inert =
    [
        "architectures", "attn_implementation", "auto_map", "bad_words_ids", "begin_suppress_tokens", "chunk_size_feed_forward",
        "do_sample", "early_stopping", "encoder_stride", "finetuning_task", "forced_bos_token_id", "gradient_checkpointing", "id2label", "is_composition",
        "keys_to_ignore_at_inference", "label2id", "length_penalty", "max_length", "max_window_layers", "min_length", "model_type", "num_labels",
        "num_return_sequences", "output_attentions", "output_hidden_states", "output_past", "output_scores", "out_features", "out_indices", "position_ids", "prefix", "pretraining_tp", "problem_type", "remove_invalid_values",
        "reorder_and_upcast_attn", "sep_token_id", "stage_names", "suppress_tokens", "task_specific_params", "temperature", "tf_legacy_loss", "tokenizer_class",
        "top_k", "top_p", "torchscript", "typical_p", "unsloth_fixed", "unsloth_version", "use_bfloat16", "use_cache", "use_mask_token", "n_ctx", "gradient_checkpointing_kwargs",
        "image_processor_type", "_attn_implementation_autoset", "_commit_hash", "directionality", "pooler_fc_size", "pooler_num_attention_heads",
        "pooler_num_fc_layers", "pooler_size_per_head", "pooler_type",
    ];

    // What other models of the same kinds have, and what it must be for a template that does not ask for it.
    private static readonly Dictionary<string, string[]> Neutral = new()
    {
        ["partial_rotary_factor"] = ["1"],
        ["rotary_pct"] = ["1"],
        ["embedding_multiplier"] = ["1"],
        ["residual_multiplier"] = ["1"],
        ["logits_scaling"] = ["1"],
        ["logit_scale"] = ["1"],
        ["embedding_scale"] = ["1"],
        ["num_experts_per_tok"] = [],
        ["quantization_config"] = [],
        ["compression_config"] = [],
        ["pruned_heads"] = [],
        ["rope_scaling"] = [],
        ["rope_parameters"] = [],
        ["sliding_window"] = [],
        ["attention_multiplier"] = [],
        ["attention_chunk_size"] = [],
        ["attn_logit_softcapping"] = [],
        ["final_logit_softcapping"] = [],
        ["logit_softcapping"] = [],
        ["query_pre_attn_scalar"] = [],
        ["clip_qkv"] = [],
        ["qk_layernorm"] = [],
        ["qk_norm"] = [],
        ["use_qk_norm"] = [],
        ["parallel_attn"] = [],
        ["use_parallel_residual"] = [],
        ["alibi"] = [],
        ["num_experts"] = [],
        ["num_local_experts"] = [],
        ["n_routed_experts"] = [],
        ["no_rope_layers"] = [],
        ["is_decoder"] = [],
        ["is_encoder_decoder"] = [],
        ["add_cross_attention"] = [],
        ["cross_attention_hidden_size"] = [],
        ["tie_encoder_decoder"] = [],
        ["use_sliding_window"] = [],
        ["adapters"] = [],
    };

    private readonly Dictionary<string, JsonElement> fields = [];
    private readonly SortedDictionary<string, string> asked = new(StringComparer.Ordinal);
    private readonly HashSet<string> aliases = []; // other names of what was asked for

    private readonly SortedDictionary<string, FolderConfig> within = new(StringComparer.Ordinal);

    private FolderConfig(string path) => Path = path;

    /// <summary>The file.</summary>
    public string Path { get; }

    /// <summary>What was asked for, by the fields' names, with what it is: the field's value, or the one that is meant where there is none.</summary>
    public IReadOnlyDictionary<string, string> Asked => asked;

    /// <summary>Reads a folder's file.</summary>
    /// <param name="folder">The folder.</param>
    /// <exception cref="LmcException">There is none, or it is no JSON object.</exception>
    public static FolderConfig Read(string folder)
    {
        var path = System.IO.Path.Combine(folder, FileName);
        var config = new FolderConfig(path);
        try
        {
            using var json = JsonDocument.Parse(InputFile.ReadText(path, "the description of a model"), new JsonDocumentOptions { MaxDepth = 64 });
            Guard.Require(
                json.RootElement.ValueKind == JsonValueKind.Object,
                $"{path}: expected the description of a model, a JSON object, found {Excerpt.Of(json.RootElement.GetRawText(), 40)}");
            foreach (var field in json.RootElement.EnumerateObject()) config.fields[field.Name] = field.Value.Clone();
            return config;
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException)
        {
            throw new LmcException($"{path}: expected the description of a model, found no JSON: {Excerpt.Of(error.Message.ReplaceLineEndings(" "))}", error);
        }
    }

    /// <summary>A text that nothing computed depends on, or null.</summary>
    public string? Plain(string name) =>
        fields.TryGetValue(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    /// <summary>Whether a field is there, and null.</summary>
    public bool IsNull(string name) => fields.TryGetValue(name, out var value) && value.ValueKind == JsonValueKind.Null;

    /// <summary>Whether a field is there, and not null.</summary>
    public bool Names(string name) => Find(name, null) is not null;

    /// <summary>The name of the class that the folder was written from; empty where none is said.</summary>
    public string Class => fields.TryGetValue("architectures", out var list) && list.ValueKind == JsonValueKind.Array && list.GetArrayLength() > 0
        && list[0].ValueKind == JsonValueKind.String ? list[0].GetString()! : "";

    /// <summary>How many classes are named; null where none are.</summary>
    public int? Labels => fields.TryGetValue("id2label", out var labels) && labels.ValueKind == JsonValueKind.Object && labels.EnumerateObject().Any() ? labels.EnumerateObject().Count()
        : fields.TryGetValue("num_labels", out var count) && count.ValueKind == JsonValueKind.Number && count.TryGetInt32(out var number) && number >= 1 ? number
        : null;

    /// <summary>What classes are called, by their numbers; null where nothing is said.</summary>
    public IReadOnlyList<string>? LabelNames => fields.TryGetValue("id2label", out var labels) && labels.ValueKind == JsonValueKind.Object
        ? [.. labels.EnumerateObject().Select(label => $"{label.Name} {label.Value.GetRawText()}").Order(StringComparer.Ordinal)]
        : null;

    /// <summary>A whole number from 1 on.</summary>
    /// <param name="name">The field.</param>
    /// <param name="other">What is meant where there is none, or null.</param>
    /// <param name="also">Another name of the field.</param>
    /// <exception cref="LmcException">It is none, or there is none.</exception>
    public int Size(string name, int? other = null, string? also = null)
    {
        var value = Find(name, also);
        var size = value is null ? other : value.Value.ValueKind == JsonValueKind.Number && value.Value.TryGetInt32(out var found) ? found : 0;
        Guard.Require(size is not null, $"{Path}: expected a field {name}, found none");
        Guard.Require(size >= 1, $"{Path}: {name}: expected a whole number from 1 to {int.MaxValue}, found {Show(value)}");
        return Said(name, size!.Value);
    }

    /// <summary>A number above 0, or from 0 on; there must be one where nothing else is meant.</summary>
    public double Number(string name, double? other = null, string? also = null, bool orZero = false)
    {
        var value = Find(name, also);
        var number = value is null ? other ?? double.NaN : value.Value.ValueKind == JsonValueKind.Number && value.Value.TryGetDouble(out var found) ? found : double.NaN;
        Guard.Require(
            (orZero ? number >= 0 : number > 0) && double.IsFinite(number),
            $"{Path}: {name}: expected a number {(orZero ? "from 0 on" : "above 0")}, found {Show(value)}");
        return Said(name, number);
    }

    /// <summary>True or false.</summary>
    public bool Flag(string name, bool other)
    {
        var value = Find(name, null);
        Guard.Require(
            value is null or { ValueKind: JsonValueKind.True or JsonValueKind.False }, $"{Path}: {name}: expected true or false, found {Show(value)}");
        return Said(name, value is null ? other : value.Value.ValueKind == JsonValueKind.True);
    }

    /// <summary>A text.</summary>
    public string Text(string name, string other, string? also = null)
    {
        var value = Find(name, also);
        Guard.Require(value is null or { ValueKind: JsonValueKind.String }, $"{Path}: {name}: expected a text, found {Show(value)}");
        return Said(name, value?.GetString() ?? other);
    }

    /// <summary>A list of whole numbers from 1 on.</summary>
    public int[] Sizes(string name, params int[] other)
    {
        var value = Find(name, null);
        if (value is null)
        {
            Guard.Require(other.Length > 0, $"{Path}: expected a field {name}, found none");
            asked[name] = string.Join(", ", other);
            return other;
        }

        var all = value.Value.ValueKind == JsonValueKind.Array
            ? value.Value.EnumerateArray().Select(item => item.ValueKind == JsonValueKind.Number && item.TryGetInt32(out var size) ? size : 0).ToArray()
            : value.Value.ValueKind == JsonValueKind.Number && value.Value.TryGetInt32(out var one) ? [one] : [];
        Guard.Require(
            all.Length is >= 1 and <= 1024 && all.All(size => size >= 1), $"{Path}: {name}: expected whole numbers from 1 on, found {Show(value)}");
        asked[name] = string.Join(", ", all);
        return all;
    }

    /// <summary>Allows a field to have the values only that a template computes.</summary>
    /// <param name="name">The field.</param>
    /// <param name="other">What is meant where there is none.</param>
    /// <param name="values">The values, as JSON has them without quotation marks.</param>
    /// <exception cref="LmcException">It has another one: the line names it.</exception>
    public string Only(string name, string other, params string[] values)
    {
        var value = Find(name, null);
        var text = value is null ? other : Bare(value.Value);
        Guard.Require(
            values.Contains(text), $"{Path}: {name}: expected {string.Join(" or ", values)}, which is what is computed, found {Excerpt.Of(text, 60)}; {Elsewhere}");
        return Said(name, text);
    }

    /// <summary>A field's object or list, or nothing where there is none or null.</summary>
    public JsonElement? Object(string name)
    {
        var value = Find(name, null);
        asked[name] = value is null ? "none" : Excerpt.Of(value.Value.GetRawText().ReplaceLineEndings(" "));
        return value;
    }

    /// <summary>The fields of an object in a field, or nothing where there is none or null. What of them is not known is said with the file's own.</summary>
    /// <exception cref="LmcException">It is no object.</exception>
    public FolderConfig? Within(string name)
    {
        if (Object(name) is not { } inner) return null;
        Guard.Require(inner.ValueKind == JsonValueKind.Object, $"{Path}: {name}: expected an object, found {JsonFields.Show(inner)}");
        var config = new FolderConfig($"{Path}: {name}");
        foreach (var field in inner.EnumerateObject()) config.fields[field.Name] = field.Value;
        within[name] = config;
        return config;
    }

    /// <summary>What to do where a model computes what no template does.</summary>
    public static string Elsewhere => "export the network to ONNX and name it with --graph";

    /// <summary>Refuses what changes what is computed and was not asked for.</summary>
    /// <returns>The fields that are not known.</returns>
    /// <exception cref="LmcException">A field has a value that is not computed; the line names it.</exception>
    public IReadOnlyList<string> Unknown()
    {
        var unknown = new List<string>();
        foreach (var (name, value) in fields)
        {
            if (asked.ContainsKey(name) || aliases.Contains(name)) continue;
            if (Neutral.TryGetValue(name, out var neutral))
                Guard.Require(
                    IsNothing(value) || neutral.Contains(Bare(value)),
                    $"{Path}: {name}: expected {(neutral.Length == 0 ? "none" : neutral[0])}, which is what is computed, found {Excerpt.Of(Bare(value), 60)}; {Elsewhere}");
            else if (!Inert.Contains(name) && !InertParts.Any(part => name.Contains(part, StringComparison.Ordinal)) && !IsNothing(value))
                unknown.Add(name);
        }

        unknown.AddRange(within.SelectMany(inner => inner.Value.Unknown().Select(name => $"{inner.Key}.{name}")));
        return unknown;
    }

    private static bool IsNothing(JsonElement value) => value.ValueKind is JsonValueKind.Null or JsonValueKind.False
        || value.ValueKind == JsonValueKind.Object && !value.EnumerateObject().Any()
        || value.ValueKind == JsonValueKind.Array && value.GetArrayLength() == 0;

    private static string Bare(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => value.GetString()!,
        JsonValueKind.Number when value.TryGetDouble(out var number) => number.ToString("R", CultureInfo.InvariantCulture),
        _ => value.GetRawText().ReplaceLineEndings(" "),
    };

    private static string Show(JsonElement? value) => value is null ? "none" : JsonFields.Show(value.Value);

    private JsonElement? Find(string name, string? also)
    {
        if (also is not null) aliases.Add(also);
        if (fields.TryGetValue(name, out var value) && value.ValueKind != JsonValueKind.Null) return value;
        return also is not null && fields.TryGetValue(also, out value) && value.ValueKind != JsonValueKind.Null ? value : null;
    }

    private T Said<T>(string name, T value)
        where T : notnull
    {
        asked[name] = Convert.ToString(value, CultureInfo.InvariantCulture)!;
        return value;
    }
}
