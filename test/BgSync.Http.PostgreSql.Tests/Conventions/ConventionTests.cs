using TestKit.Conventions;

namespace BgSync.Http.PostgreSql.Tests.Conventions;

/// <summary>The order of the house, kept in the PostgreSQL store.</summary>
public sealed class ConventionTests() : LibraryConventionTests(typeof(PostgreSqlQueueStore).Assembly)
{
    protected override (int First, int Last) EventIds(Type type) => (4300, 4399);
}
