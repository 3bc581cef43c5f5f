namespace BgSync.Http;

/// <summary>The entry that is about to be sent, for <see cref="BackgroundSyncOptions.OnReplaying"/>.</summary>
public sealed class ReplayingContext
{
    internal ReplayingContext(
        QueuedEntry entry, Receipt? prerequisite, HttpRequestMessage request, int attempt, bool isLastAttempt, IServiceProvider services)
    {
        Entry = entry;
        Prerequisite = prerequisite;
        Request = request;
        Attempt = attempt;
        IsLastAttempt = isLastAttempt;
        Services = services;
    }

    /// <summary>The entry as it is stored.</summary>
    public QueuedEntry Entry { get; }

    /// <summary>
    /// The receipt of the entry that had to be delivered first, with its response (<see cref="Receipt.Response"/>) as far as that is kept;
    /// <see langword="null"/> when there was none. It is the same at each attempt.
    /// </summary>
    public Receipt? Prerequisite { get; }

    /// <summary>The request that is to be sent, to be changed as wanted; the stored entry stays as it is.</summary>
    public HttpRequestMessage Request { get; }

    /// <summary>Which attempt this is of those that may reach the server, from 1; the live attempt counts if it may have.</summary>
    public int Attempt { get; }

    /// <summary>
    /// Whether the entry becomes a dead letter if this attempt fails (<see cref="BackgroundSyncRetryOptions.MaxAttempts"/>).
    /// </summary>
    public bool IsLastAttempt { get; }

    /// <summary>The application's services, in a scope that ends with the call.</summary>
    public IServiceProvider Services { get; }

    /// <summary>Why the entry was dropped.</summary>
    internal string? DropReason { get; private set; }

    /// <summary>Does not send the entry: it becomes a dead letter, <see cref="DeadLetterCause.Dropped"/>.</summary>
    /// <param name="reason">Why, for the log and the dead letter.</param>
    public void Drop(string reason)
    {
        ArgumentNullException.ThrowIfNull(reason);
        DropReason = reason;
    }
}
