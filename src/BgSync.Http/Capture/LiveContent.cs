using System.Net;
using System.Runtime.ExceptionServices;

namespace BgSync.Http.Capture;

/// <summary>
/// Content on its first way out that may be wanted once more. It knows when the sending has ended, which can be after the send has
/// failed, and copies what can be read only once into a spool while it is sent.
/// </summary>
internal sealed class LiveContent : HttpContent
{
    private readonly HttpContent _inner;
    private readonly BodySpool? _spool;
    private readonly CancellationToken _callerToken;
    private volatile bool _wanted = true;
    private volatile bool _spoolComplete;
    private volatile Action? _progress;
    private ExceptionDispatchInfo? _aheadFailure;
    private Sending _sending;

    /// <param name="inner">The caller's content.</param>
    /// <param name="spool">Where the bytes go as well; <see langword="null"/> for content that can be read again by itself.</param>
    /// <param name="callerToken">The caller's cancel. Only it ends the reading of the content: a failed connection does not.</param>
    public LiveContent(HttpContent inner, BodySpool? spool, CancellationToken callerToken)
    {
        _inner = inner;
        _spool = spool;
        _callerToken = callerToken;
        foreach (var (name, values) in inner.Headers.NonValidated)
        {
            Headers.TryAddWithoutValidation(name, values);
        }
    }

    /// <summary>Ends the copying: nobody will ask for the body again.</summary>
    public void Abandon()
    {
        _wanted = false;
        _spool?.Dispose();
    }

    /// <summary>Copies what can be read only once, before it is sent; it is sent from the copy then.</summary>
    /// <param name="progress">Called whenever a part of it was read.</param>
    public async Task ReadAheadAsync(Action progress)
    {
        if (_spool is null)
        {
            return;
        }

        _progress = progress;
        BeginSending();
        try
        {
            var copy = new SpoolingStream(Stream.Null, _spool, OnSpooled, CancellationToken.None);
            await using (copy.ConfigureAwait(false))
            {
                await _inner.CopyToAsync(copy, _callerToken).ConfigureAwait(false);
                EndSpool(copy);
            }
        }
        catch (Exception e)
        {
            // There is nothing left to be sent: whoever tries meets the same failure.
            _aheadFailure = ExceptionDispatchInfo.Capture(e);
            throw;
        }
        finally
        {
            _sending.End();
        }
    }

    /// <summary>Writes the body once more, whole and from its beginning, once the sending has ended.</summary>
    /// <param name="destination">Where it goes.</param>
    /// <param name="progress">Called whenever a part of it was read, during the sending too.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="BodyNotRepeatableException">There is no copy of what could be read only once.</exception>
    public async Task CopyOnceMoreAsync(Stream destination, Action progress, CancellationToken cancellationToken)
    {
        _progress = progress;
        await _sending.WaitAsync(cancellationToken).ConfigureAwait(false);
        if (_spool is null || !_sending.HasBegun)
        {
            await _inner.CopyToAsync(destination, cancellationToken).ConfigureAwait(false);
            return;
        }

        if (!_spoolComplete)
        {
            throw new BodyNotRepeatableException(_spool.Failure ?? "its body could not be read to the end");
        }

        await _spool.OpenRead().CopyToAsync(destination, cancellationToken).ConfigureAwait(false);
    }

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        // A handler inside may send again while the first sending still reads the body.
        await _sending.WaitAsync(cancellationToken).ConfigureAwait(false);
        _aheadFailure?.Throw();
        var sending = SendAsync(stream, context, cancellationToken);
        // What is copied may be read on for after the sending was broken off.
        await (_spool is null ? sending : sending.WaitAsync(cancellationToken)).ConfigureAwait(false);
    }

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
        SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override void SerializeToStream(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        _sending.WaitAsync(cancellationToken).GetAwaiter().GetResult();
        _aheadFailure?.Throw();
        BeginSending();
        try
        {
            if (_spool is null)
            {
                _inner.CopyTo(stream, context, cancellationToken);
            }
            else if (_spoolComplete)
            {
                _spool.OpenRead().CopyTo(stream);
            }
            else
            {
                using var both = new SpoolingStream(stream, _spool, OnSpooled, cancellationToken);
                _inner.CopyTo(both, context, _callerToken);
                EndSpool(both);
            }
        }
        finally
        {
            _sending.End();
        }
    }

    protected override bool TryComputeLength(out long length)
    {
        length = _inner.Headers.ContentLength ?? 0;
        return _inner.Headers.ContentLength is not null;
    }

    /// <summary>Sends the body; one that is copied is read to its end even when the network has failed.</summary>
    private async Task SendAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        BeginSending();
        try
        {
            if (_spool is null)
            {
                await _inner.CopyToAsync(stream, context, cancellationToken).ConfigureAwait(false);
            }
            else if (_spoolComplete)
            {
                await _spool.OpenRead().CopyToAsync(stream, cancellationToken).ConfigureAwait(false);
            }
            else
            {
                var both = new SpoolingStream(stream, _spool, OnSpooled, cancellationToken);
                await using (both.ConfigureAwait(false))
                {
                    await _inner.CopyToAsync(both, context, _callerToken).ConfigureAwait(false);
                    EndSpool(both);
                }
            }
        }
        finally
        {
            _sending.End();
        }
    }

    private void BeginSending()
    {
        if (!_spoolComplete)
        {
            _spool?.Restart();
        }

        _sending.Begin();
    }

    /// <returns>Whether the copy is still wanted.</returns>
    private bool OnSpooled()
    {
        if (_wanted)
        {
            _progress?.Invoke();
        }

        return _wanted;
    }

    private void EndSpool(SpoolingStream both)
    {
        _spoolComplete = _spool!.Failure is null;
        both.ThrowIfFailed();
    }
}
