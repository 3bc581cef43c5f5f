namespace BgSync.Http;

/// <summary>All queues of the application, by name.</summary>
/// <remarks>Thread-safe.</remarks>
public interface IBackgroundSyncQueues
{
    /// <summary>The names of the queues.</summary>
    IReadOnlyCollection<string> Names { get; }

    /// <summary>The queue of a name.</summary>
    /// <exception cref="KeyNotFoundException">There is none; the message says which there are.</exception>
    IBackgroundSyncQueue this[string name] { get; }
}
