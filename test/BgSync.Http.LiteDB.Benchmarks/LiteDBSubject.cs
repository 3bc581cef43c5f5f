using BgSync.Http.Benchmarks.Queues;
using Microsoft.Extensions.DependencyInjection;

namespace BgSync.Http.LiteDB.Benchmarks;

internal sealed class LiteDBSubject() : StoreSubject("LiteDB")
{
    protected override void AddTo(IServiceCollection services, string folder) =>
        services.AddBackgroundSyncLiteDB(Path.Combine(folder, "queues.db"));
}
