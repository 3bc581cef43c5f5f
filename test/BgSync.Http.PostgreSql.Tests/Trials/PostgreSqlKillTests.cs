using TestKit.PostgreSql;
using TestKit.Trials;
using Xunit;

namespace BgSync.Http.PostgreSql.Tests.Trials;

[Collection(TrialCollection.Name)]
[Trait("Category", "Trial")]
public sealed class PostgreSqlKillTests(PostgreSqlCluster cluster, ITestOutputHelper output) : KillTrials(output), IAsyncLifetime
{
    private readonly TrialDatabase _database = new(cluster);

    protected override TrialStore Store => _database.Store;

    public ValueTask InitializeAsync() => _database.InitializeAsync();

    public ValueTask DisposeAsync() => _database.DisposeAsync();
}
