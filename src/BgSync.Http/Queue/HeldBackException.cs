namespace BgSync.Http.Queue;

/// <summary>A live request was not sent, because it is not its turn.</summary>
internal sealed class HeldBackException : HttpRequestException
{
    private HeldBackException(string message, Exception? innerException)
        : base(message, innerException)
    {
    }

    /// <summary>It must not overtake what waits in its lane.</summary>
    public static HeldBackException ByLane(string reason, Exception? innerException = null) =>
        new($"The request was not sent, because it may not overtake what waits in its lane: {reason}.", innerException);

    /// <summary>Only a replay can make it of the response to another entry.</summary>
    public static HeldBackException ByPrerequisite(long id) =>
        new($"The request was not sent, because it is to follow entry {id}.", innerException: null);
}
