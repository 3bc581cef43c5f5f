namespace BgSync.Http.Queue;

/// <summary>The right of a live request to be the only one of its lane that is sent or queued; it ends when disposed of.</summary>
/// <param name="turn">The turn among the live requests of the lane.</param>
/// <param name="obstacle">Why the request may not be sent in its turn, only queued; <see langword="null"/> when it may.</param>
internal sealed class LiveTurn(IDisposable turn, HeldBackException? obstacle) : IDisposable
{
    public HeldBackException? Obstacle => obstacle;

    public void Dispose() => turn.Dispose();
}
