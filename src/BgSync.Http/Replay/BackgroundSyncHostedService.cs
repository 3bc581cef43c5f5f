using Microsoft.Extensions.Hosting;

namespace BgSync.Http.Replay;

/// <summary>Lets a generic host start and stop the background sync.</summary>
internal sealed class BackgroundSyncHostedService(IBackgroundSync sync) : IHostedService
{
    public Task StartAsync(CancellationToken cancellationToken) => sync.StartAsync(cancellationToken);

    public Task StopAsync(CancellationToken cancellationToken) => sync.StopAsync(cancellationToken);
}
