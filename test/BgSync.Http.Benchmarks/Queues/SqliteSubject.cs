using Microsoft.Extensions.DependencyInjection;

namespace BgSync.Http.Benchmarks.Queues;

internal sealed class SqliteSubject() : StoreSubject("SQLite")
{
    protected override void AddTo(IServiceCollection services, string folder) =>
        services.AddBackgroundSyncSqlite(Path.Combine(folder, "queues.db"));
}
