namespace BgSync.Http;

/// <summary>
/// Is told of every event in the life of every entry. Register any number of them, as singletons, in the container.
/// </summary>
/// <remarks>
/// Each observer is told one event after the other, in the order in which they happened, beside the sending and never in its way.
/// One that throws is logged. One that is slow loses the oldest of more than 1,024 events that wait for it; one that does not
/// return in 30 s is left behind and told the next event.
/// </remarks>
public interface IBackgroundSyncObserver
{
    /// <summary>Is called for each event.</summary>
    /// <param name="entryEvent">The event that happened.</param>
    /// <param name="cancellationToken">Cancelled when the observer takes too long.</param>
    Task OnEventAsync(EntryEvent entryEvent, CancellationToken cancellationToken);
}
