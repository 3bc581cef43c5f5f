using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using BgSync.Http.Outcomes;
using BgSync.Http.Queues;
using BgSync.Http.Routing;
using BgSync.Http.Storage.Memory;
using BgSync.Http.Testing;
using Microsoft.Extensions.Logging;
using Xunit;

namespace BgSync.Http.Tests.Conventions;

/// <summary>The order of the house, kept.</summary>
public sealed partial class ArchitectureTests
{
    private const string Root = "BgSync.Http";

    private static readonly Assembly _library = typeof(BackgroundSyncOptions).Assembly;

    private static readonly Type[] _types =
        [.. _library.GetTypes().Where(
            static type => type.Namespace is { } name && (name == Root || name.StartsWith(Root + ".", StringComparison.Ordinal)))];

    /// <summary>What the code in a namespace may refer to: namespaces inside the library, and types of its root.</summary>
    [Theory]
    [InlineData("Routing")]
    [InlineData("Requests")]
    [InlineData("Outcomes")]
    [InlineData("Connectivity")]
    [InlineData("Storage", "Requests")]
    [InlineData("Storage.Files")]
    [InlineData("Storage.Format", "Storage", "Requests")]
    [InlineData("Storage.Sqlite", "Storage", "Storage.Files", "Storage.Format", "Requests")]
    [InlineData("Storage.Memory", "Storage", "Requests")]
    [InlineData("Diagnostics", "Storage", "Requests")]
    [InlineData(
        "Queues", "Storage", "Requests", "Outcomes", "Diagnostics", "BackgroundSyncOptions", "WhenQueued", "Overtaking", "Coalescing")]
    [InlineData("Replay", "Queues", "Storage", "Requests", "Outcomes", "Connectivity", "BackgroundSyncOptions", "WhenQueued", "Overtaking")]
    public void A_namespace_knows_only_those_below_it(string name, params string[] known)
    {
        var types = _types.Where(type => type.Namespace == $"{Root}.{name}").ToArray();

        var strangers =
            from type in types
            from other in TypeReferences.Of(type)
            where other.Assembly == _library && other.Namespace is not null && other.Namespace != type.Namespace
                && !known.Contains(PlaceOf(other))
                && other.GetCustomAttribute<CompilerGeneratedAttribute>() is null
            select $"{type.FullName} refers to {other.FullName}";

        Assert.NotEmpty(types);
        AssertNone(strangers);
    }

    [Fact]
    public void The_references_that_are_found_are_those_that_are_there()
    {
        var found = _types.Where(static type => Outermost(type) == typeof(BackgroundSyncHandler)).SelectMany(TypeReferences.Of).ToArray();

        Assert.Contains(typeof(RouteTable), found);
        Assert.Contains(typeof(IQueueReplayer), found);
        Assert.Contains(typeof(Attempt), found);
        Assert.DoesNotContain(typeof(MemoryQueueStore), found);
    }

    [Fact]
    public void Extension_methods_live_in_the_namespace_of_what_they_extend() => AssertNone(
        from type in _library.GetExportedTypes()
        from method in type.GetMethods(BindingFlags.Public | BindingFlags.Static)
        where method.IsDefined(typeof(ExtensionAttribute)) && method.GetParameters()[0].ParameterType.Namespace != type.Namespace
        select $"{type.FullName}.{method.Name}");

    [Fact]
    public void A_file_has_one_type_at_its_top_and_is_called_after_it() => AssertNone(
        from file in SourceTree.LibraryFiles()
        let name = Path.GetFileName(file).Split('.')[0]
        let types = TopLevelType().Matches(SourceTree.ReadLibrary(file)).Select(static match => match.Groups["name"].Value).ToArray()
        where types is not [var type] || type != name
        select $"{file}: {string.Join(", ", types)}");

    [Fact]
    public void A_file_stands_in_the_folder_of_its_namespace() => AssertNone(
        from file in SourceTree.LibraryFiles()
        let space = Namespace().Match(SourceTree.ReadLibrary(file)).Groups["name"].Value
        let folder = Path.GetDirectoryName(file)!.Replace(Path.DirectorySeparatorChar, '.')
        where !space.StartsWith("Microsoft.", StringComparison.Ordinal) && !space.StartsWith("System.", StringComparison.Ordinal)
            && space != (folder.Length == 0 ? Root : $"{Root}.{folder}")
        select $"{file}: {space}");

    [Fact]
    public void Nothing_is_called_what_says_nothing() => AssertNone(
        from name in SourceTree.LibraryFiles().Concat(_types.Select(static type => type.FullName!))
        where SaysNothing().IsMatch(name)
        select name);

    [Fact]
    public void Nobody_derives_from_a_public_class() => AssertNone(
        from type in _library.GetExportedTypes()
        where type is { IsClass: true, IsSealed: false }
        select type.FullName);

    [Fact]
    public void An_async_method_says_so() => AssertNone(
        from type in _types
        from method in type.GetMethods(BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static
            | BindingFlags.DeclaredOnly)
        where (method.IsDefined(typeof(AsyncStateMachineAttribute)) || method.IsDefined(typeof(AsyncIteratorStateMachineAttribute)))
            && !method.Name.Contains('<', StringComparison.Ordinal) && !method.Name.EndsWith("Async", StringComparison.Ordinal)
        select $"{type.FullName}.{method.Name}");

    [Fact]
    public void A_public_method_to_be_awaited_ends_with_Async_and_takes_a_token_last() => AssertNone(
        from type in _library.GetExportedTypes()
        from method in type.GetMethods(BindingFlags.Public | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly)
        where IsAwaited(method.ReturnType) && method.Name != nameof(IAsyncDisposable.DisposeAsync)
            && !(method.Name.EndsWith("Async", StringComparison.Ordinal)
                && method.GetParameters() is [.., { ParameterType: var last }] && last == typeof(CancellationToken))
        select $"{type.FullName}.{method.Name}");

    [Fact]
    public void Log_messages_have_ids_of_their_own_in_the_range_of_their_folder()
    {
        var messages =
            (from type in _types
             from method in type.GetMethods(BindingFlags.NonPublic | BindingFlags.Public | BindingFlags.Static | BindingFlags.Instance)
             let message = method.GetCustomAttribute<LoggerMessageAttribute>()
             where message is not null
             select (Folder: type.Namespace![(Root.Length + 1)..].Split('.')[0], message.EventId)).ToArray();

        Assert.NotEmpty(messages);
        Assert.Equal(messages.Length, messages.Select(static message => message.EventId).Distinct().Count());
        Assert.All(messages, static message => Assert.Equal(
            message.Folder switch { "Queues" => 2, "Replay" => 3, "Storage" => 4, "Connectivity" => 5, _ => 0 },
            message.EventId / 1000));
    }

    [Fact]
    public void Log_messages_stand_in_files_of_their_own() => AssertNone(
        from file in SourceTree.LibraryFiles()
        where SourceTree.ReadLibrary(file).Contains("[LoggerMessage(", StringComparison.Ordinal)
            != file.EndsWith(".Log.cs", StringComparison.Ordinal)
        select file);

    [Fact]
    public void No_feed_is_named() =>
        Assert.DoesNotContain("<packageSources", SourceTree.Read("nuget.config"), StringComparison.OrdinalIgnoreCase);

    private static void AssertNone(IEnumerable<string?> offenders)
    {
        var all = string.Join('\n', offenders.Distinct());
        Assert.True(all.Length == 0, all);
    }

    /// <summary>The folder that a type stands in; its name when it stands in the root.</summary>
    private static string PlaceOf(Type type) =>
        type == typeof(BackgroundSyncRequestExtensions) ? "Requests"
        : type.Namespace == Root ? Outermost(type).Name
        : type.Namespace!.Replace(Root + ".", "", StringComparison.Ordinal);

    private static Type Outermost(Type type) => type.DeclaringType is { } outer ? Outermost(outer) : type;

    private static bool IsAwaited(Type type) =>
        typeof(Task).IsAssignableFrom(type) || type == typeof(ValueTask)
        || (type.IsGenericType && (type.GetGenericTypeDefinition() == typeof(ValueTask<>)
            || type.GetGenericTypeDefinition() == typeof(IAsyncEnumerable<>)));

    [GeneratedRegex(
        @"^(public|internal) (?:(?:sealed|static|abstract|readonly|partial) )*"
        + @"(?:class|record struct|record|struct|interface|enum) (?<name>\w+)",
        RegexOptions.Multiline)]
    private static partial Regex TopLevelType();

    [GeneratedRegex(@"^namespace (?<name>[\w.]+);", RegexOptions.Multiline)]
    private static partial Regex Namespace();

    [GeneratedRegex("(Util|Utils|Helper|Helpers|Common|Manager|Managers)\\b")]
    private static partial Regex SaysNothing();
}
