using System.Reflection;
using System.Runtime.CompilerServices;

namespace BgSync.Http.Testing.Conventions;

/// <summary>Writes down what an assembly shows to others: a line a type, a line a member.</summary>
internal static class PublicApi
{
    private const BindingFlags Declared = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Static | BindingFlags.Instance
        | BindingFlags.DeclaredOnly;

    private static readonly NullabilityInfoContext _nullability = new();

    public static IEnumerable<string> Of(Assembly assembly) =>
        assembly.GetExportedTypes().OrderBy(static type => type.FullName, StringComparer.Ordinal).SelectMany(Describe);

    private static IEnumerable<string> Describe(Type type) =>
    [
        $"{Kind(type)} {type.FullName}{Bases(type)}",
        .. Members(type).Order(StringComparer.Ordinal).Select(static member => "    " + member),
    ];

    private static string Kind(Type type) =>
        type.IsInterface ? "interface"
        : type.IsEnum ? "enum"
        : type.IsValueType ? "struct"
        : type is { IsAbstract: true, IsSealed: true } ? "static class"
        : type.IsSealed ? "sealed class"
        : "class";

    private static string Bases(Type type)
    {
        var bases = type.GetInterfaces().Where(static face => face.IsVisible && !face.IsGenericType).Select(Name)
            .Order(StringComparer.Ordinal);
        var all = type.BaseType is { } parent && parent != typeof(object) && !type.IsValueType ? bases.Prepend(Name(parent)) : bases;
        return type.IsEnum || !all.Any() ? "" : $" : {string.Join(", ", all)}";
    }

    private static IEnumerable<string> Members(Type type) => type.IsEnum
        ? Enum.GetValuesAsUnderlyingType(type).Cast<object>().Select(value => $"{Enum.GetName(type, value)} = {value}")
        : type.GetMembers(Declared).Select(Describe).OfType<string>();

    private static string? Describe(MemberInfo member) => member switch
    {
        PropertyInfo property when IsShown(property.GetMethod ?? property.SetMethod) => $"{Static(property.GetMethod)}"
            + $"{Name(_nullability.Create(property))} {property.Name} {{ {Accessors(property)} }}",
        FieldInfo { IsPublic: true } field => $"{(field.IsLiteral ? "const " : "")}{Name(field.FieldType)} {field.Name}"
            + (field.IsLiteral ? $" = \"{field.GetRawConstantValue()}\"" : ""),
        ConstructorInfo constructor when IsShown(constructor) => $"new({Parameters(constructor)})",
        MethodInfo { IsSpecialName: false } method when IsShown(method) && !method.IsDefined(typeof(CompilerGeneratedAttribute)) =>
            $"{Static(method)}{Name(_nullability.Create(method.ReturnParameter))} "
            + $"{method.Name}{Generic(method)}({Parameters(method)})",
        _ => null,
    };

    private static bool IsShown(MethodBase? method) => method is { IsPublic: true } or { IsFamily: true } or { IsFamilyOrAssembly: true };

    private static string Accessors(PropertyInfo property) => string.Join(
        " ",
        new[]
        {
            IsShown(property.GetMethod) ? "get;" : null,
            !IsShown(property.SetMethod) ? null
                : property.SetMethod!.ReturnParameter.GetRequiredCustomModifiers().Contains(typeof(IsExternalInit)) ? "init;"
                : "set;",
        }.OfType<string>());

    private static string Static(MethodBase? method) => method is { IsStatic: true } ? "static " : "";

    private static string Generic(MethodInfo method) =>
        method.IsGenericMethod ? $"<{string.Join(", ", method.GetGenericArguments().Select(Name))}>" : "";

    private static string Parameters(MethodBase method) => string.Join(", ", method.GetParameters().Select(parameter =>
        (parameter.Position == 0 && method.IsDefined(typeof(ExtensionAttribute)) ? "this " : "")
        + (parameter.IsOut ? "out " : "")
        + $"{Name(_nullability.Create(parameter))} {parameter.Name}"
        + (parameter.HasDefaultValue ? $" = {parameter.DefaultValue ?? "default"}" : "")));

    private static string Name(NullabilityInfo info)
    {
        var type = info.Type;
        var question = info.ReadState == NullabilityState.Nullable && !type.IsValueType ? "?" : "";
        return type.IsArray ? $"{Name(info.ElementType!)}[]{question}"
            : type.IsGenericType && Nullable.GetUnderlyingType(type) is null
                ? $"{Bare(type)}<{string.Join(", ", info.GenericTypeArguments.Select(Name))}>{question}"
            : Name(type) + question;
    }

    private static string Name(Type type) =>
        type.IsByRef ? Name(type.GetElementType()!)
        : type.IsArray ? Name(type.GetElementType()!) + "[]"
        : Nullable.GetUnderlyingType(type) is { } value ? Name(value) + "?"
        : type.IsGenericType ? $"{Bare(type)}<{string.Join(", ", type.GetGenericArguments().Select(Name))}>"
        : type.Name;

    private static string Bare(Type type) => type.Name.Split('`')[0];
}
