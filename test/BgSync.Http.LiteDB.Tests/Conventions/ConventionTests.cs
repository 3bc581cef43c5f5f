using TestKit.Conventions;

namespace BgSync.Http.LiteDB.Tests.Conventions;

/// <summary>The order of the house, kept in the LiteDB store.</summary>
public sealed class ConventionTests() : LibraryConventionTests(typeof(LiteDBQueueStore).Assembly)
{
    protected override (int First, int Last) EventIds(Type type) => (4100, 4199);
}
