using System.Reflection;
using System.Runtime.CompilerServices;
using BgSync.Http.Outcomes;
using BgSync.Http.Queue;
using BgSync.Http.Routing;
using BgSync.Http.Storage.Memory;
using TestKit;
using TestKit.Conventions;
using Xunit;

namespace BgSync.Http.Tests.Conventions;

/// <summary>The order of the house, kept.</summary>
public sealed class ArchitectureTests() : LibraryConventionTests(_library)
{
    private const string Root = "BgSync.Http";

    private static readonly Assembly _library = typeof(BackgroundSyncOptions).Assembly;

    protected override (int First, int Last) EventIds(Type type) => type.Namespace![(Root.Length + 1)..].Split('.')[0] switch
    {
        "Queue" or "Events" => (2000, 2999),
        "Replay" => (3000, 3999),
        // Other stores go on behind.
        "Storage" => (4000, 4099),
        "Connectivity" => (5000, 5999),
        _ => default,
    };

    /// <summary>Code in a namespace refers to no other namespaces of the library than those named here, beside its public face.</summary>
    [Theory]
    [InlineData("Routing")]
    [InlineData("Capture", "OneWayStream")]
    [InlineData("Responses", "Outcomes", "OneWayStream")]
    [InlineData("Outcomes", "Connectivity")]
    [InlineData("Connectivity")]
    [InlineData("Storage", "Outcomes", "Capture", "OneWayStream")]
    [InlineData("Storage.Files")]
    [InlineData("Storage.Format", "Storage", "Capture", "OneWayStream")]
    [InlineData("Storage.Sqlite", "Storage", "Storage.Files", "Storage.Format", "Outcomes", "Capture", "OneWayStream")]
    [InlineData("Storage.Memory", "Storage", "Outcomes", "Capture")]
    [InlineData("Diagnostics", "Storage", "Capture", "Outcomes")]
    [InlineData("Events", "Storage", "Outcomes", "Diagnostics")]
    [InlineData("Queue", "Events", "Storage", "Capture", "Responses", "Outcomes", "Diagnostics", "OneWayStream")]
    [InlineData("Replay", "Queue", "Events", "Storage", "Capture", "Responses", "Outcomes", "Connectivity", "Diagnostics")]
    public void A_namespace_knows_only_those_below_it(string name, params string[] known)
    {
        var types = Types.Where(type => type.Namespace == $"{Root}.{name}").ToArray();

        var strangers =
            from type in types
            from other in TypeReferences.Of(type)
            where other.Assembly == _library && other.Namespace is not null && other.Namespace != type.Namespace
                && !IsFace(other) && !known.Contains(PlaceOf(other))
                && other.GetCustomAttribute<CompilerGeneratedAttribute>() is null
            select $"{type.FullName} refers to {other.FullName}";

        Assert.NotEmpty(types);
        AssertNone(strangers);
    }

    [Fact]
    public void The_references_that_are_found_are_those_that_are_there()
    {
        var found = Types.Where(static type => Outermost(type) == typeof(BackgroundSyncHandler)).SelectMany(TypeReferences.Of).ToArray();

        Assert.Contains(typeof(RequestWatch), found);
        Assert.Contains(typeof(IQueueReplayer), found);
        Assert.Contains(typeof(Attempt), found);
        Assert.DoesNotContain(typeof(MemoryQueueStore), found);
    }

    [Fact]
    public void A_comment_in_a_test_begins_with_a_noun() => AssertNone(
        from file in SourceTree.TestFiles()
        from line in SourceTree.Read(file).Split('\n')
        where BeginsWithQuestionWord(line)
        select $"{file}: {line.Trim()}");

    [Fact]
    public void No_feed_is_named() =>
        Assert.DoesNotContain("<packageSources", SourceTree.Read("nuget.config"), StringComparison.OrdinalIgnoreCase);

    /// <summary>Whether a type is of the public face, to which everybody may refer, but for the handler, which knows everybody.</summary>
    private static bool IsFace(Type type) => Outermost(type) is { IsPublic: true } face && face != typeof(BackgroundSyncHandler);

    /// <summary>The folder that a type stands in; its name when it stands in the root.</summary>
    private static string PlaceOf(Type type) =>
        type.Namespace == Root ? Outermost(type).Name : type.Namespace!.Replace(Root + ".", "", StringComparison.Ordinal);

    private static Type Outermost(Type type) => type.DeclaringType is { } outer ? Outermost(outer) : type;
}
