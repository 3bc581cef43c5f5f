using System.Reflection;
using System.Reflection.Emit;

namespace BgSync.Http.Tests.Conventions;

/// <summary>Finds the types that a type refers to: in what it declares, and in what its methods do.</summary>
internal static class TypeReferences
{
    private const BindingFlags Declared = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Static | BindingFlags.Instance
        | BindingFlags.DeclaredOnly;

    private static readonly Dictionary<short, OpCode> _opCodes = typeof(OpCodes).GetFields(BindingFlags.Public | BindingFlags.Static)
        .Select(static field => (OpCode)field.GetValue(null)!)
        .ToDictionary(static code => code.Value);

    /// <summary>The types that <paramref name="type"/> refers to, taken apart into those without arguments.</summary>
    public static HashSet<Type> Of(Type type) =>
    [
        .. Declarations(type)
            .Concat(type.GetMembers(Declared).OfType<MethodBase>().SelectMany(Method))
            .SelectMany(Parts),
    ];

    private static IEnumerable<Type> Declarations(Type type) =>
        type.GetInterfaces()
            .Append(type.BaseType ?? typeof(object))
            .Concat(type.GetCustomAttributesData().Select(static attribute => attribute.AttributeType))
            .Concat(type.GetFields(Declared).Select(static field => field.FieldType));

    private static IEnumerable<Type> Method(MethodBase method) =>
    [
        .. method.GetParameters().Select(static parameter => parameter.ParameterType),
        method is MethodInfo { ReturnType: var returned } ? returned : typeof(void),
        .. method.GetMethodBody() is { } body
            ? body.LocalVariables.Select(static local => local.LocalType).Concat(Operands(method, body.GetILAsByteArray()!))
            : [],
    ];

    private static IEnumerable<Type> Operands(MethodBase method, byte[] il)
    {
        var typeArguments = method.DeclaringType!.GetGenericArguments();
        var methodArguments = method.IsGenericMethod ? method.GetGenericArguments() : [];
        for (var at = 0; at < il.Length;)
        {
            short value = il[at++];
            var code = _opCodes[value == 0xFE ? (short)(0xFE00 | il[at++]) : value];
            if (code.OperandType is OperandType.InlineMethod or OperandType.InlineField or OperandType.InlineType or OperandType.InlineTok)
            {
                var member = method.Module.ResolveMember(BitConverter.ToInt32(il, at), typeArguments, methodArguments)!;
                yield return member as Type ?? member.DeclaringType ?? typeof(void);
            }

            at += code.OperandType switch
            {
                OperandType.InlineNone => 0,
                OperandType.ShortInlineBrTarget or OperandType.ShortInlineI or OperandType.ShortInlineVar => 1,
                OperandType.InlineVar => 2,
                OperandType.InlineI8 or OperandType.InlineR => 8,
                OperandType.InlineSwitch => 4 + (4 * BitConverter.ToInt32(il, at)),
                _ => 4,
            };
        }
    }

    private static IEnumerable<Type> Parts(Type type) =>
        type.HasElementType ? Parts(type.GetElementType()!)
        : type.IsGenericParameter ? type.GetGenericParameterConstraints().SelectMany(Parts)
        : type.IsConstructedGenericType ? type.GetGenericArguments().SelectMany(Parts).Append(type.GetGenericTypeDefinition())
        : [type];
}
