namespace BgSync.Http.Queue;

/// <summary>What a queue asks of the loop that sends its entries.</summary>
internal interface IQueueReplayer
{
    /// <summary>Says that the queue has changed, so that the loop looks at it.</summary>
    void Wake();

    /// <summary>Says that an entry is new, which also ends the waits that have no end of their own.</summary>
    void WakeForNew();

    /// <summary>Says that the server of an origin could not be reached, or was, by a live request.</summary>
    void ReportLive(Uri uri, bool reached, bool accepted);

    /// <summary>Until when nothing is sent to an origin, because it could not be reached.</summary>
    DateTimeOffset ClosedUntil(string origin);

    /// <summary>Sends the entries of one lane now, whatever the backoff says.</summary>
    /// <returns>Why some are left; <see langword="null"/> when none is.</returns>
    Task<string?> ReplayLaneAsync(string lane, CancellationToken cancellationToken);

    /// <summary>Sends all that can be sent now.</summary>
    Task<ReplaySummary> ReplayAsync(TimeSpan deadline, CancellationToken cancellationToken);
}
