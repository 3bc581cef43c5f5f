using BgSync.Http;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>The queues that were registered.</summary>
internal sealed class BackgroundSyncQueues(QueueRegistrations registrations, IServiceProvider services) : IBackgroundSyncQueues
{
    public IReadOnlyCollection<string> Names { get; } = [.. registrations.Queues];

    public IBackgroundSyncQueue this[string name]
    {
        get
        {
            ArgumentNullException.ThrowIfNull(name);
            return services.GetKeyedService<IBackgroundSyncQueue>(name)
                ?? throw new KeyNotFoundException(
                    $"There is no queue '{name}'. AddBackgroundSync has added these: {string.Join(", ", Names)}.");
        }
    }
}
