using System.Net;

namespace BgSync.Http.Capture;

/// <summary>
/// Content that is handed to the transport in place of another. It knows whether the transport has asked for it, and reports each part
/// that has gone out.
/// </summary>
internal abstract class ObservedContent : HttpContent
{
    private volatile bool _wasAskedFor;
    private volatile bool _isBuffered;
    private volatile Action? _moved;

    /// <summary>
    /// Whether the body was asked for since <see cref="BeginAttempt"/>, or may have been: a body that a handler has read into memory is
    /// sent from there, and nobody sees it go.
    /// </summary>
    public virtual bool WasAskedFor => _wasAskedFor;

    /// <summary>Called each time that a part of the body was written to the network.</summary>
    public Action? Moved
    {
        set => _moved = value;
    }

    /// <summary>Whether somebody is to be told of the body's progress.</summary>
    protected bool IsObserved => _moved is not null;

    /// <summary>Begins a new attempt, for which the body was not asked for yet.</summary>
    public void BeginAttempt() => _wasAskedFor = _isBuffered;

    /// <summary>Says that a part of the body was written to the network.</summary>
    public void OnMoved() => Tell(_moved);

    /// <summary>Says that a part of the body was read.</summary>
    /// <returns>Whether the copy that is made of it is still wanted.</returns>
    public virtual bool OnRead() => false;

    /// <summary>Calls back, unless the time that the callback restarts is over.</summary>
    protected static void Tell(Action? callback)
    {
        try
        {
            callback?.Invoke();
        }
        catch (ObjectDisposedException)
        {
            // The attempt has ended while its body is still read: no time-out is left to be restarted.
        }
    }

    /// <summary>Writes the body from its beginning.</summary>
    /// <param name="network">The destination.</param>
    /// <param name="context">The transport's.</param>
    /// <param name="isAsync">Otherwise the task is completed when it is returned.</param>
    /// <param name="cancellationToken">The transport's.</param>
    protected abstract Task SendAsync(Stream network, TransportContext? context, bool isAsync, CancellationToken cancellationToken);

    /// <summary>Opens the body at its beginning.</summary>
    /// <param name="isAsync">Otherwise the task is completed when it is returned.</param>
    /// <param name="cancellationToken">The reader's.</param>
    protected abstract Task<Stream> OpenAsync(bool isAsync, CancellationToken cancellationToken);

    protected sealed override Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        OnAskedFor(stream);
        return SendAsync(stream, context, isAsync: true, cancellationToken);
    }

    protected sealed override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
        SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected sealed override void SerializeToStream(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        OnAskedFor(stream);
        SendAsync(stream, context, isAsync: false, cancellationToken).GetAwaiter().GetResult();
    }

    protected sealed override Task<Stream> CreateContentReadStreamAsync(CancellationToken cancellationToken)
    {
        OnAskedFor(destination: null);
        return OpenAsync(isAsync: true, cancellationToken);
    }

    protected sealed override Task<Stream> CreateContentReadStreamAsync() => CreateContentReadStreamAsync(CancellationToken.None);

    protected sealed override Stream CreateContentReadStream(CancellationToken cancellationToken)
    {
        OnAskedFor(destination: null);
        return OpenAsync(isAsync: false, cancellationToken).GetAwaiter().GetResult();
    }

    private void OnAskedFor(Stream? destination)
    {
        _wasAskedFor = true;
        // HttpContent's own buffer: from now on the transport is served from it.
        _isBuffered |= destination?.GetType().DeclaringType == typeof(HttpContent);
    }
}
