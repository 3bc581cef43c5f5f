namespace BgSync.Http.Outcomes;

/// <summary>An attempt that brought no answer.</summary>
/// <param name="Exception">The exception.</param>
/// <param name="Error">The exception in words, without secrets.</param>
/// <param name="Verdict">The meaning of the exception for the request.</param>
/// <param name="IsTimedOut">Whether the time of the attempt was up.</param>
/// <param name="WasAskedFor">Whether the body was asked for, so that the request had a connection. True where there is no body.</param>
/// <param name="IsAlone">Whether no other request to the origin was under way, so that this one waited for nobody.</param>
internal sealed record AttemptFailure(
    Exception Exception, string Error, FailureVerdict Verdict, bool IsTimedOut, bool WasAskedFor, bool IsAlone);
