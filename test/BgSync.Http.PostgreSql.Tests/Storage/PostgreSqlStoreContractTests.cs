using BgSync.Http.PostgreSql.Tests.Infrastructure;
using BgSync.Http.Storage;
using BgSync.Http.Testing.Storage;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace BgSync.Http.PostgreSql.Tests.Storage;

public sealed class PostgreSqlStoreContractTests(ClassDatabase shared) : StoreContractTests, IClassFixture<ClassDatabase>
{
    private IDisposable? _clock;

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        _clock?.Dispose();
        await shared.Database.ResetAsync();
    }

    protected override IQueueStore OpenStore()
    {
        _clock ??= shared.Database.Follow(Clock);
        return new PostgreSqlQueueStore(
            shared.Database.DataSource, new PostgreSqlStoreOptions(), Clock, NullLogger<PostgreSqlQueueStore>.Instance);
    }
}
