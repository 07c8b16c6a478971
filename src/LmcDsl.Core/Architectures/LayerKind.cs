using System.Reflection;
using System.Text.Json;
using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// An optional argument that stands in JSON even where it has its default. Others are left out then, so that an argument that is
/// added to a layer later does not change what networks without it are known by.
/// </summary>
[AttributeUsage(AttributeTargets.Parameter)]
public sealed class AlwaysWrittenAttribute : Attribute;

/// <summary>
/// An argument that is a whole number for height and width alike. A list of equal numbers, as others write it, is read too.
/// </summary>
[AttributeUsage(AttributeTargets.Parameter)]
public sealed class SideAttribute : Attribute;

/// <summary>One class of layers: its name in JSON, and its fields, which are the arguments of its constructor.</summary>
internal sealed class LayerKind
{
    private readonly ConstructorInfo constructor;
    private readonly Field[] fields;

    /// <summary>Reads a class's fields off its constructor, the one with most arguments.</summary>
    /// <exception cref="LmcException">It has no public constructor, or an argument has no public property of its name.</exception>
    public LayerKind(Type type)
    {
        Name = LayerKinds.NameOf(type);
        constructor = type.GetConstructors().MaxBy(c => c.GetParameters().Length)
            ?? throw new LmcException($"layer kind '{Name}': expected a class with a public constructor, found none in {type.FullName}");
        fields = [.. constructor.GetParameters().Select(argument => new Field(type, argument))];
    }

    /// <summary>The name in JSON.</summary>
    public string Name { get; }

    /// <summary>Writes a layer as an object.</summary>
    public void Write(Utf8JsonWriter writer, Layer layer, JsonSerializerOptions options)
    {
        writer.WriteStartObject();
        writer.WriteString(LayerConverter.KindField, Name);
        if (layer.Version != 1) writer.WriteNumber(LayerConverter.VersionField, layer.Version);
        foreach (var field in fields)
        {
            var value = field.Property.GetValue(layer);
            if (!field.Always && field.HasDefault && Equals(value, field.Default)) continue;
            writer.WritePropertyName(field.Name);
            JsonSerializer.Serialize(writer, value, field.Property.PropertyType, options);
        }

        writer.WriteEndObject();
    }

    /// <summary>Makes a layer of an object's fields.</summary>
    /// <exception cref="LmcException">A field is not known, missing, or of another type; the line names it.</exception>
    public Layer Read(JsonElement source, JsonSerializerOptions options)
    {
        var given = JsonFields.Of(source, Name, [LayerConverter.KindField, LayerConverter.VersionField, .. fields.Select(field => field.Name)]);
        try
        {
            var layer = (Layer)constructor.Invoke([.. fields.Select(field => field.Read(Name, given, options))]);
            var version = given.TryGetValue(LayerConverter.VersionField, out var element) ? element.GetRawText() : "1";
            Guard.Require(
                version == FormattableString.Invariant($"{layer.Version}"),
                $"{Name}: expected version {layer.Version}, found {version}: it was written by another version of the layer");
            return layer;
        }
        catch (TargetInvocationException error) when (error.InnerException is LmcException inner)
        {
            throw new LmcException($"{Name}: {inner.Message}", inner);
        }
    }

    // One argument of the constructor and the property that gives it back.
    private sealed class Field
    {
        public Field(Type type, ParameterInfo argument)
        {
            Argument = argument;
            Name = JsonNamingPolicy.CamelCase.ConvertName(argument.Name!);
            Property = type.GetProperty(argument.Name!, BindingFlags.Public | BindingFlags.Instance | BindingFlags.IgnoreCase)
                ?? throw new LmcException(
                    $"layer kind '{LayerKinds.NameOf(type)}': expected a public property for each argument of its constructor, which is what is saved of it, found none for '{argument.Name}'");
            IsSide = argument.IsDefined(typeof(SideAttribute));
            Always = argument.IsDefined(typeof(AlwaysWrittenAttribute));
            // F# marks its optional arguments, whose type is an option, in its own way: None where nothing is given.
            HasDefault = argument.HasDefaultValue;
            CanBeMissing = HasDefault || argument.GetCustomAttributes().Any(a => a.GetType().Name == "OptionalArgumentAttribute");
            Default = HasDefault && argument.ParameterType.IsEnum
                ? Enum.ToObject(argument.ParameterType, argument.DefaultValue!)
                : HasDefault ? argument.DefaultValue : null;
        }

        public string Name { get; }

        public ParameterInfo Argument { get; }

        public PropertyInfo Property { get; }

        public bool Always { get; }

        // Where others write a list for height and width: one number, if they are the same.
        private bool IsSide { get; }

        public bool HasDefault { get; }

        public object? Default { get; }

        private bool CanBeMissing { get; }

        public object? Read(string kind, Dictionary<string, JsonElement> given, JsonSerializerOptions options)
        {
            if (!given.TryGetValue(Name, out var element))
            {
                Guard.Require(CanBeMissing, $"{kind}: expected a field '{Name}', found none");
                return Default;
            }

            if (IsSide && element.ValueKind == JsonValueKind.Array)
            {
                var sides = element.EnumerateArray().Select(side => side.GetRawText()).Distinct().ToArray();
                Guard.Require(
                    sides.Length == 1, $"{kind}: {Name}: expected a whole number, the same for height and width, found {JsonFields.Show(element)}");
                element = element[0];
            }

            Guard.Require(
                !IsSide || element.ValueKind != JsonValueKind.String,
                $"{kind}: {Name}: expected a whole number, found {JsonFields.Show(element)} ('valid' is 0; 'same' is dilation * (kernel - 1) / 2 where the stride is 1)");
            try
            {
                var value = element.Deserialize(Argument.ParameterType, options);
                Guard.Require(
                    value is not null || CanBeMissing, $"{kind}: {Name}: expected {JsonFields.Words(Argument.ParameterType)}, found null");
                return value;
            }
            catch (Exception error) when (error is JsonException or NotSupportedException or InvalidOperationException)
            {
                throw new LmcException(
                    $"{kind}: {Name}: expected {JsonFields.Words(Argument.ParameterType)}, found {JsonFields.Show(element)}", error);
            }
        }
    }
}
