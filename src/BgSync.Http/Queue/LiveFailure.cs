namespace BgSync.Http.Queue;

/// <summary>Why a live request is to be queued.</summary>
/// <param name="Exception">The exception that the caller would get.</param>
/// <param name="Verdict">Its meaning for the request.</param>
/// <param name="RetryAfter">How long the server asked to wait.</param>
internal sealed record LiveFailure(Exception Exception, FailureVerdict Verdict, TimeSpan? RetryAfter = null)
{
    /// <summary>Whether it was an attempt, which may have reached the server.</summary>
    public bool Counts => Verdict == FailureVerdict.MaybeProcessed;

    /// <summary>The status of the response, if there was one.</summary>
    public int? StatusCode => (int?)(Exception as HttpRequestException)?.StatusCode;
}
