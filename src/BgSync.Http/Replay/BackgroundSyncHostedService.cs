using BgSync.Http.Queue;
using Microsoft.Extensions.Hosting;

namespace BgSync.Http.Replay;

/// <summary>Lets a generic host start and stop the background sync.</summary>
internal sealed class BackgroundSyncHostedService(IBackgroundSync sync, EntryWaiters waiters) : IHostedLifecycleService
{
    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken) => sync.StartAsync(cancellationToken);

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Before any service stops: a web server that drains its requests would wait for those that wait for their entries.</summary>
    public Task StoppingAsync(CancellationToken cancellationToken)
    {
        waiters.Close();
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => sync.StopAsync(cancellationToken);

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
