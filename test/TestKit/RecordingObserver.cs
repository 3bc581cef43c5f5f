using System.Collections.Concurrent;
using BgSync.Http;
using Xunit;

namespace TestKit;

/// <summary>Keeps what it is told.</summary>
public sealed class RecordingObserver : IBackgroundSyncObserver
{
    public ConcurrentQueue<EntryEvent> Events { get; } = [];

    public EntryEvent The(EntryEventKind kind) => Assert.Single(Events, told => told.Kind == kind);

    public Task ToldAsync(EntryEventKind kind) =>
        Eventually.TrueAsync(() => Events.Any(told => told.Kind == kind), $"{kind} is told");

    public Task OnEventAsync(EntryEvent entryEvent, CancellationToken cancellationToken)
    {
        Events.Enqueue(entryEvent);
        return Task.CompletedTask;
    }
}
