namespace BgSync.Http.Queue;

/// <summary>The queue's view of the loop that sends its entries.</summary>
internal interface IQueueReplayer
{
    /// <summary>Says that the queue has changed, so that the loop looks at it.</summary>
    void Wake();

    /// <summary>Says that an entry is new, which also ends the waits that have no end of their own.</summary>
    void WakeForNew();

    /// <summary>Says how the server of an origin answered a live request.</summary>
    /// <param name="uri">The address of the request as the caller made it.</param>
    /// <param name="statusCode">The status of the response; <see langword="null"/> when the server could not be reached.</param>
    void ReportLive(Uri uri, int? statusCode);

    /// <summary>The time until which nothing is sent to an origin, because its circuit is open.</summary>
    DateTimeOffset OpenUntil(string origin);

    /// <summary>Sends the entries of one lane now, whatever the backoff says.</summary>
    /// <returns>Why some are left; <see langword="null"/> when none is.</returns>
    Task<string?> ReplayLaneAsync(string lane, CancellationToken cancellationToken);

    /// <summary>Sends all that can be sent now.</summary>
    Task<ReplaySummary> ReplayAsync(TimeSpan deadline, CancellationToken cancellationToken);
}
