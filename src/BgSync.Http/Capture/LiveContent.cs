using System.Net;
using System.Runtime.ExceptionServices;

namespace BgSync.Http.Capture;

/// <summary>
/// Content on its first way out that may be wanted once more. A handler inside may dispose of it, and the caller's content stays whole.
/// A body that is not in memory is copied into a spool while it is serialised for the first time, and read from there ever after.
/// </summary>
internal sealed class LiveContent : ObservedContent
{
    private static readonly object _taken = new();

    private readonly HttpRequestMessage _request;
    private readonly HttpContent _inner;
    private readonly BodySpool? _spool;
    private readonly CancellationToken _callerToken;
    private readonly bool _isLengthGiven;
    private volatile Action? _read;
    private volatile bool _isAhead;
    private volatile bool _isSmall;
    private volatile bool _isDisposed;
    private volatile bool _isReleased;

    // The reader of the body has the turn: null for nobody, _taken, or a TaskCompletionSource where others wait for its end.
    private object? _turn;

    // Changed only in turn.
    private bool _hasBegun;
    private bool _isCopied;
    private Exception? _readFailure;

    /// <param name="request">The request, whose content this one becomes.</param>
    /// <param name="spool">Where the bytes go as well; <see langword="null"/> for content that is read again from memory.</param>
    /// <param name="callerToken">The caller's cancel. Only it ends the reading of the content: a failed connection does not.</param>
    public LiveContent(HttpRequestMessage request, BodySpool? spool, CancellationToken callerToken)
    {
        _request = request;
        _inner = request.Content!;
        _spool = spool;
        _callerToken = callerToken;
        var headers = _inner.Headers.NonValidated;
        if (headers.Count > 0)
        {
            _isLengthGiven = headers.Contains("Content-Length");
            foreach (var (name, values) in headers)
            {
                if (values.Count == 1)
                {
                    Headers.TryAddWithoutValidation(name, values.ToString());
                }
                else
                {
                    Headers.TryAddWithoutValidation(name, values);
                }
            }
        }

        request.Content = this;
    }

    /// <summary>Content that another has taken the place of may have been sent in that shape.</summary>
    public override bool WasAskedFor => base.WasAskedFor || _request.Content != this;

    /// <summary>Ends the attempt: gives the request its own content back, and drops the copy once nobody reads it.</summary>
    public void Release()
    {
        Moved = null;
        _spool?.Dispose();
        _isReleased = true;
        Interlocked.MemoryBarrier();
        if (_isDisposed)
        {
            _inner.Dispose();
        }

        if (_request.Content == this)
        {
            try
            {
                _request.Content = _inner;
            }
            catch (ObjectDisposedException)
            {
                // A handler inside has disposed of the request itself.
            }
        }
    }

    public override bool OnRead()
    {
        if (!_isReleased)
        {
            Tell(_read);
        }

        return !_isReleased;
    }

    /// <summary>Copies the body before it is sent; it is sent from the copy then.</summary>
    /// <param name="progress">Called whenever a part of it was read.</param>
    /// <param name="cancellationToken">Ends the wait for a sending that goes on.</param>
    public async Task ReadAheadAsync(Action progress, CancellationToken cancellationToken)
    {
        _read = progress;
        _isAhead = true;
        await (await OpenAsync(isAsync: true, cancellationToken).ConfigureAwait(false)).DisposeAsync().ConfigureAwait(false);
    }

    /// <summary>Writes the body once more, whole and from its beginning, once the sending has ended.</summary>
    /// <param name="destination">Where it goes.</param>
    /// <param name="progress">Called whenever a part of it was read, during the sending too.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="BodyNotRepeatableException">There is no copy, or its length is not the one that was declared.</exception>
    public async Task CopyOnceMoreAsync(Stream destination, Action progress, CancellationToken cancellationToken)
    {
        _read = progress;
        var copy = new SendingStream(destination, spool: null, content: null, cancellationToken);
        await TakeTurnAsync(isAsync: true, cancellationToken).ConfigureAwait(false);
        try
        {
            if (!_hasBegun)
            {
                await _inner.CopyToAsync(copy, cancellationToken).ConfigureAwait(false);
            }
            else if (_isCopied)
            {
                await SendCopyAsync(copy, isAsync: true, cancellationToken).ConfigureAwait(false);
            }
            else
            {
                var reason = _readFailure is null ? "" : $": {_readFailure.GetBaseException().Message}";
                throw new BodyNotRepeatableException(_spool!.Failure ?? $"its body could not be read to the end{reason}", _readFailure);
            }

            // A length that the transport has computed was not declared before the body was asked for.
            if ((_hasBegun || _isLengthGiven) && Headers.NonValidated.Contains("Content-Length")
                && Headers.ContentLength is { } declared && declared != copy.Written)
            {
                throw new BodyNotRepeatableException($"its body has {copy.Written} bytes, and its Content-Length says {declared}");
            }
        }
        finally
        {
            GiveTurn();
        }
    }

    protected override Task SendAsync(Stream network, TransportContext? context, bool isAsync, CancellationToken cancellationToken)
    {
        var sending = _spool is null
            ? SendFromMemoryAsync(network, context, isAsync, cancellationToken)
            : SendInTurnAsync(network, context, isAsync, cancellationToken);
        if (sending.IsCompleted || _spool is null)
        {
            return sending;
        }

        // A body that is copied is read on after the sending was broken off, and nobody awaits its failure then.
        _ = sending.ContinueWith(
            static sending => sending.Exception,
            CancellationToken.None,
            TaskContinuationOptions.ExecuteSynchronously,
            TaskScheduler.Default);
        return sending.WaitAsync(cancellationToken);
    }

    protected override async Task<Stream> OpenAsync(bool isAsync, CancellationToken cancellationToken)
    {
        if (_spool is null)
        {
            return isAsync
                ? await _inner.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false)
                : _inner.ReadAsStream(cancellationToken);
        }

        await TakeTurnAsync(isAsync, cancellationToken).ConfigureAwait(false);
        try
        {
            ThrowIfReadAheadFailed();
            if (!_isCopied)
            {
                _spool.IsOnlyCopy = true;
                await CopyAsync(Stream.Null, context: null, isAsync, CancellationToken.None).ConfigureAwait(false);
            }

            return _spool.OpenView();
        }
        finally
        {
            GiveTurn();
        }
    }

    protected override bool TryComputeLength(out long length)
    {
        var known = _inner.Headers.ContentLength;
        length = known ?? 0;
        _isSmall = known <= SendingStream.PartLength;
        return known is not null;
    }

    /// <summary>Leaves the caller's content as it is while the attempt is under way.</summary>
    protected override void Dispose(bool disposing)
    {
        _isDisposed = true;
        Interlocked.MemoryBarrier();
        if (_isReleased)
        {
            _inner.Dispose();
        }

        base.Dispose(disposing);
    }

    private async Task SendFromMemoryAsync(Stream network, TransportContext? context, bool isAsync, CancellationToken cancellationToken)
    {
        if (IsObserved && !_isSmall)
        {
            network = new SendingStream(network, spool: null, this, cancellationToken);
        }

        await SerializeAsync(network, context, isAsync, cancellationToken).ConfigureAwait(false);
        OnMoved();
    }

    private async Task SendInTurnAsync(Stream network, TransportContext? context, bool isAsync, CancellationToken cancellationToken)
    {
        // A handler inside may send again while the first sending still reads the body.
        await TakeTurnAsync(isAsync, cancellationToken).ConfigureAwait(false);
        try
        {
            ThrowIfReadAheadFailed();
            if (_isCopied)
            {
                await SendCopyAsync(new SendingStream(network, spool: null, this, cancellationToken), isAsync, cancellationToken)
                    .ConfigureAwait(false);
            }
            else
            {
                await CopyAsync(network, context, isAsync, cancellationToken).ConfigureAwait(false);
            }
        }
        finally
        {
            GiveTurn();
        }
    }

    /// <summary>Serialises the body to the network and into the spool, to its end even when the network has failed.</summary>
    private async Task CopyAsync(Stream network, TransportContext? context, bool isAsync, CancellationToken networkToken)
    {
        _hasBegun = true;
        _spool!.Restart();
        var both = new SendingStream(network, _spool, this, networkToken);
        try
        {
            await SerializeAsync(both, context, isAsync, _callerToken).ConfigureAwait(false);
            _isCopied = _spool.Failure is null;
        }
        catch (Exception e)
        {
            _readFailure = e;
            both.ThrowIfFailed();
            throw;
        }

        both.ThrowIfFailed();
    }

    /// <summary>Throws as the copying did: nothing is left to be sent.</summary>
    private void ThrowIfReadAheadFailed()
    {
        if (_isAhead && _readFailure is not null)
        {
            ExceptionDispatchInfo.Throw(_readFailure);
        }
    }

    private Task SerializeAsync(Stream stream, TransportContext? context, bool isAsync, CancellationToken cancellationToken)
    {
        if (isAsync)
        {
            return _inner.CopyToAsync(stream, context, cancellationToken);
        }

        _inner.CopyTo(stream, context, cancellationToken);
        return Task.CompletedTask;
    }

    private async Task SendCopyAsync(SendingStream destination, bool isAsync, CancellationToken cancellationToken)
    {
        using var copy = _spool!.OpenView();
        if (isAsync)
        {
            await copy.CopyToAsync(destination, SendingStream.PartLength, cancellationToken).ConfigureAwait(false);
        }
        else
        {
            copy.CopyTo(destination, SendingStream.PartLength);
        }
    }

    /// <summary>Waits until nobody else reads the body. It costs an object only where somebody waits.</summary>
    private async Task TakeTurnAsync(bool isAsync, CancellationToken cancellationToken)
    {
        while (Interlocked.CompareExchange(ref _turn, _taken, null) is { } turn)
        {
            if (turn == _taken)
            {
                turn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                if (Interlocked.CompareExchange(ref _turn, turn, _taken) != _taken)
                {
                    continue;
                }
            }

            var end = ((TaskCompletionSource)turn).Task.WaitAsync(cancellationToken);
            if (isAsync)
            {
                await end.ConfigureAwait(false);
            }
            else
            {
                end.GetAwaiter().GetResult();
            }
        }
    }

    private void GiveTurn() => (Interlocked.Exchange(ref _turn, null) as TaskCompletionSource)?.SetResult();
}
