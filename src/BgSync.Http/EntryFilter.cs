namespace BgSync.Http;

/// <summary>Which entries of a queue are meant: those that meet all that is set.</summary>
public sealed record EntryFilter
{
    /// <summary>The lane that they are in.</summary>
    public string? Lane { get; init; }

    /// <summary>The state that they have now.</summary>
    public EntryState? State { get; init; }

    /// <summary>The age that they have reached, counted from their timestamp.</summary>
    public TimeSpan? MinAge { get; init; }

    /// <summary>The age that they have not passed, counted from their timestamp.</summary>
    public TimeSpan? MaxAge { get; init; }

    /// <summary>The method of their request.</summary>
    public HttpMethod? Method { get; init; }

    /// <summary>The beginning of the absolute URI of their request.</summary>
    public string? UriPrefix { get; init; }

    /// <summary>Whatever else is to be asked of an entry.</summary>
    public Func<QueuedEntry, bool>? Predicate { get; init; }

    internal bool IsMatch(QueuedEntry entry, DateTimeOffset now)
    {
        var age = now - entry.Timestamp;
        return (Lane is null || Lane == entry.Lane)
            && (State is null || State == StateOf(entry, now))
            && (MinAge is null || age >= MinAge)
            && (MaxAge is null || age <= MaxAge)
            && (Method is null || Method == entry.Request.Method)
            && (UriPrefix is null || entry.Request.Uri.AbsoluteUri.StartsWith(UriPrefix, StringComparison.Ordinal))
            && (Predicate is null || Predicate(entry));
    }

    private static EntryState StateOf(QueuedEntry entry, DateTimeOffset now) =>
        entry.IsLeased ? EntryState.InFlight : entry.DueAt <= now ? EntryState.Due : EntryState.Waiting;
}
