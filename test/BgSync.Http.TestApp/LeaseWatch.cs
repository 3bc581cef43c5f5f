namespace BgSync.Http.TestApp;

/// <summary>Says LEASE-LOST for each lease that another process has taken over.</summary>
internal sealed class LeaseWatch : IBackgroundSyncObserver
{
    public Task OnEventAsync(EntryEvent entryEvent, CancellationToken cancellationToken)
    {
        if (entryEvent.Kind == EntryEventKind.LeaseLost)
        {
            Console.Out.WriteLine($"LEASE-LOST {entryEvent.EntryId}");
        }

        return Task.CompletedTask;
    }
}
