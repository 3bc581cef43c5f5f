namespace BgSync.Http.Queues;

/// <summary>A live request was not sent, because it must not overtake what waits in its lane.</summary>
internal sealed class HeldBackException(string reason, Exception? innerException = null)
    : HttpRequestException($"The request was not sent, because it may not overtake what waits in its lane: {reason}.", innerException);
