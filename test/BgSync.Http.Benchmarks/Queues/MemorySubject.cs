using Microsoft.Extensions.DependencyInjection;

namespace BgSync.Http.Benchmarks.Queues;

/// <summary>Keeps nothing: what the others would cost without a disk.</summary>
internal sealed class MemorySubject() : StoreSubject("Memory")
{
    public override bool IsDurable => false;

    protected override void AddTo(IServiceCollection services, string folder) => services.AddBackgroundSyncMemory();
}
