using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Logging;
using PublicApiGenerator;
using Xunit;

namespace TestKit.Conventions;

/// <summary>The order that every library of the house keeps.</summary>
public abstract partial class LibraryConventionTests(Assembly library)
{
    private const string Accept = "BGSYNC_ACCEPT_API";

    /// <summary>Extension methods live in the namespaces of others, which are left out by default.</summary>
    private static readonly ApiGeneratorOptions _publicApi = new() { IncludeAssemblyAttributes = false, DenyNamespacePrefixes = [] };

    /// <summary>The library's name, which is also that of its namespace and of its folder.</summary>
    protected string Name { get; } = library.GetName().Name!;

    /// <summary>The types that were written, not generated, and that are no extensions of others' namespaces.</summary>
    protected Type[] Types =>
        [.. library.GetTypes().Where(
            type => type.Namespace is { } space && (space == Name || space.StartsWith(Name + ".", StringComparison.Ordinal)))];

    /// <summary>The first and the last id that the log messages of a type may have.</summary>
    protected abstract (int First, int Last) EventIds(Type type);

    [Fact]
    public void The_public_API_is_the_one_that_was_accepted()
    {
        var baseline = $"test/{Name}.Tests/Conventions/PublicApi.txt";
        // A line for each type and member.
        string[] actual = [.. library.GeneratePublicApi(_publicApi).ReplaceLineEndings("\n").Split('\n')
            .Where(static line => line.Trim() is not ("{" or "}" or ""))];
        if (Environment.GetEnvironmentVariable(Accept) == "1")
        {
            File.WriteAllLines(SourceTree.PathOf(baseline), actual);
        }

        var accepted = File.ReadAllLines(SourceTree.PathOf(baseline));

        Assert.True(
            accepted.SequenceEqual(actual),
            $"""
             The public API has changed:
             {string.Join('\n', Difference(accepted, actual))}
             If that is meant, run this test with {Accept}=1 and commit {baseline}.
             """);
    }

    [Fact]
    public void Extension_methods_live_in_the_namespace_of_what_they_extend() => AssertNone(
        from type in library.GetExportedTypes()
        from method in type.GetMethods(BindingFlags.Public | BindingFlags.Static)
        where method.IsDefined(typeof(ExtensionAttribute)) && method.GetParameters()[0].ParameterType.Namespace != type.Namespace
        select $"{type.FullName}.{method.Name}");

    [Fact]
    public void A_file_has_one_type_at_its_top_and_is_called_after_it() => AssertNone(
        from file in SourceTree.LibraryFiles(Name)
        let name = Path.GetFileName(file).Split('.')[0]
        let types = TopLevelType().Matches(SourceTree.ReadLibrary(Name, file)).Select(static match => match.Groups["name"].Value).ToArray()
        where types is not [var type] || type != name
        select $"{file}: {string.Join(", ", types)}");

    [Fact]
    public void A_file_stands_in_the_folder_of_its_namespace() => AssertNone(
        from file in SourceTree.LibraryFiles(Name)
        let space = Namespace().Match(SourceTree.ReadLibrary(Name, file)).Groups["name"].Value
        let folder = Path.GetDirectoryName(file)!.Replace(Path.DirectorySeparatorChar, '.')
        where space.Split('.')[0] is not ("Microsoft" or "System")
            && space != (folder.Length == 0 ? Name : $"{Name}.{folder}")
        select $"{file}: {space}");

    [Fact]
    public void Nothing_is_called_what_says_nothing() => AssertNone(
        from name in SourceTree.LibraryFiles(Name).Concat(Types.Select(static type => type.FullName!))
        where SaysNothing().IsMatch(name)
        select name);

    [Fact]
    public void A_comment_begins_with_a_noun() => AssertNone(
        from file in SourceTree.LibraryFiles(Name)
        from line in SourceTree.ReadLibrary(Name, file).Split('\n')
        where BeginsWithQuestionWord(line)
        select $"{file}: {line.Trim()}");

    /// <summary>Records are data, and the parts of a row are as many as they are.</summary>
    [Fact]
    public void A_constructor_takes_at_most_seven_parameters() => AssertNone(
        from type in Types
        where type.GetMethod("<Clone>$") is null && !type.IsValueType
        from constructor in type.GetConstructors(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic)
        where constructor.GetParameters().Length > 7
        select $"{type.FullName} takes {constructor.GetParameters().Length}");

    [Fact]
    public void Nobody_derives_from_a_public_class() => AssertNone(
        from type in library.GetExportedTypes()
        where type is { IsClass: true, IsSealed: false }
        select type.FullName);

    [Fact]
    public void An_async_method_says_so() => AssertNone(
        from type in Types
        from method in type.GetMethods(BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static
            | BindingFlags.DeclaredOnly)
        where (method.IsDefined(typeof(AsyncStateMachineAttribute)) || method.IsDefined(typeof(AsyncIteratorStateMachineAttribute)))
            && !method.Name.Contains('<', StringComparison.Ordinal) && !method.Name.EndsWith("Async", StringComparison.Ordinal)
        select $"{type.FullName}.{method.Name}");

    [Fact]
    public void A_public_method_to_be_awaited_ends_with_Async_and_takes_a_token_last() => AssertNone(
        from type in library.GetExportedTypes()
        from method in type.GetMethods(BindingFlags.Public | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly)
        where IsAwaited(method.ReturnType) && method.Name != nameof(IAsyncDisposable.DisposeAsync)
            && !(method.Name.EndsWith("Async", StringComparison.Ordinal)
                && method.GetParameters() is [.., { ParameterType: var last }] && last == typeof(CancellationToken))
        select $"{type.FullName}.{method.Name}");

    [Fact]
    public void Log_messages_have_ids_of_their_own_in_the_range_of_their_folder()
    {
        var messages =
            (from type in Types
             from method in type.GetMethods(BindingFlags.NonPublic | BindingFlags.Public | BindingFlags.Static | BindingFlags.Instance)
             let message = method.GetCustomAttribute<LoggerMessageAttribute>()
             where message is not null
             select (Type: type, message.EventId)).ToArray();

        Assert.NotEmpty(messages);
        Assert.Equal(messages.Length, messages.Select(static message => message.EventId).Distinct().Count());
        Assert.All(messages, message =>
        {
            var (first, last) = EventIds(message.Type);
            Assert.InRange(message.EventId, first, last);
        });
    }

    [Fact]
    public void Log_messages_stand_in_files_of_their_own() => AssertNone(
        from file in SourceTree.LibraryFiles(Name)
        where SourceTree.ReadLibrary(Name, file).Contains("[LoggerMessage(", StringComparison.Ordinal)
            != file.EndsWith(".Log.cs", StringComparison.Ordinal)
        select file);

    /// <summary>Whether a line of code has a comment that begins with a question word.</summary>
    protected static bool BeginsWithQuestionWord(string line) => QuestionWord().IsMatch(line);

    protected static void AssertNone(IEnumerable<string?> offenders)
    {
        var all = string.Join('\n', offenders.Distinct());
        Assert.True(all.Length == 0, all);
    }

    /// <summary>The lines that only one side has, each under its type.</summary>
    private static IEnumerable<string> Difference(string[] accepted, string[] actual)
    {
        var (before, after) = (WithTypes(accepted), WithTypes(actual));
        return before.Except(after).Select(static line => "- " + line).Concat(after.Except(before).Select(static line => "+ " + line));
    }

    private static string[] WithTypes(string[] lines)
    {
        var type = "";
        return [.. lines.Select(
            line => line.StartsWith("        ", StringComparison.Ordinal) ? $"{type}: {line.Trim()}" : type = line.Trim())];
    }

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

    [GeneratedRegex("//+ ?(<[^>]*>)?(What|Whoever|Of one|Of what|Who) ")]
    private static partial Regex QuestionWord();

    [GeneratedRegex("(Util|Utils|Helper|Helpers|Common|Manager|Managers)\\b")]
    private static partial Regex SaysNothing();
}
