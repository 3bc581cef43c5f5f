namespace BgSync.Http.Replay;

/// <summary>The place in a client's pipeline where the replays of a queue enter it.</summary>
internal interface IReplayEntrance
{
    /// <summary>The queue's name.</summary>
    string Queue { get; }

    /// <summary>Sends a replay from here inwards.</summary>
    Task<HttpResponseMessage> SendReplayAsync(HttpRequestMessage request, CancellationToken cancellationToken);
}
