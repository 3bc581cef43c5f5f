namespace BgSync.Http;

/// <summary>A failed attempt at an entry which the server has answered, or may have seen. Being offline is none.</summary>
/// <param name="At">When it had failed.</param>
/// <param name="StatusCode">The status of the response; <see langword="null"/> when there was none.</param>
/// <param name="Error">The reason of the failure, without secrets.</param>
public sealed record FailedAttempt(DateTimeOffset At, int? StatusCode, string? Error)
{
    /// <summary>How many are kept of an entry: the last ones.</summary>
    internal const int Kept = 20;
}
