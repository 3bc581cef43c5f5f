using System.Net;
using System.Runtime.ExceptionServices;

namespace BgSync.Http.Capture;

/// <summary>
/// Content on its first way out that may be wanted once more. A handler inside may dispose of it, and the caller's content stays whole.
/// A body that is not in memory is copied into a spool while it is serialised for the first time, and read from there ever after.
/// </summary>
internal sealed class LiveContent : ObservedContent
{
    private const int Released = 1;
    private const int Disposed = 2;

    private static readonly object _taken = new();

    private readonly HttpRequestMessage _request;
    private readonly HttpContent _inner;
    private readonly BodySpool? _spool;
    private readonly CancellationToken _callerToken;
    private readonly bool _isLengthGiven;
    private volatile Exception? _copyFailure;
    private volatile bool _isSmall;

    // Released, Disposed or both.
    private int _ends;

    // The reader of the body has the turn: null for nobody, _taken, or a TaskCompletionSource where others wait for its end.
    private object? _turn;

    // Changed only in turn.
    private bool _hasBegun;
    private bool _isCopied;
    private ExceptionDispatchInfo? _readFailure;

    /// <param name="request">The request, whose content this one becomes.</param>
    /// <param name="spool">Where the bytes go as well; <see langword="null"/> for content that is read again from memory.</param>
    /// <param name="callerToken">The caller's cancel. Only it ends the reading of the content: a failed connection does not.</param>
    public LiveContent(HttpRequestMessage request, BodySpool? spool, CancellationToken callerToken)
    {
        _request = request;
        _inner = request.Content!;
        _spool = spool;
        _callerToken = callerToken;
        _isLengthGiven = _inner.Headers.NonValidated.Contains("Content-Length");
        foreach (var (name, values) in _inner.Headers.NonValidated)
        {
            // A single value costs less as text.
            _ = values.Count == 1
                ? Headers.TryAddWithoutValidation(name, values.ToString())
                : Headers.TryAddWithoutValidation(name, values);
        }

        request.Content = this;
    }

    /// <summary>Content that another has taken the place of may have been sent in that shape.</summary>
    public override bool WasAskedFor => base.WasAskedFor || _request.Content != this;

    /// <summary>Whether the copy can still be completed, and somebody may want it.</summary>
    public bool IsCopyWanted => _copyFailure is null && (Volatile.Read(ref _ends) & Released) == 0;

    /// <summary>Copies a part of the body that is on its way out.</summary>
    public void Keep(ReadOnlySpan<byte> part)
    {
        try
        {
            if (IsCopyWanted)
            {
                _spool!.Write(part);
            }
        }
        catch (Exception e) when (e is NotStorableException or ObjectDisposedException)
        {
            _copyFailure = e;
            _spool!.Dispose();
        }
    }

    /// <summary>Ends the attempt: gives the request its own content back, and drops the copy once nobody reads it.</summary>
    public void Release()
    {
        _spool?.Dispose();
        End(Released);
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

    /// <summary>Writes the body once more, whole and from its beginning, once the sending has ended.</summary>
    /// <exception cref="NotStorableException">There is no copy, or its length is not the one that was declared.</exception>
    public async Task CopyOnceMoreAsync(SendingStream destination, CancellationToken cancellationToken)
    {
        bool isCopied;
        await TakeTurnAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            isCopied = _isCopied;
            if (!_hasBegun)
            {
                await _inner.CopyToAsync(destination, cancellationToken).ConfigureAwait(false);
            }
            else if (!isCopied)
            {
                var failure = _readFailure?.SourceException;
                throw _copyFailure ?? new NotStorableException(
                    $"its body could not be read to the end{(failure is null ? "" : ": " + failure.GetBaseException().Message)}", failure);
            }
        }
        finally
        {
            GiveTurn();
        }

        if (isCopied)
        {
            await SendOpenedAsync(destination, isAsync: true, cancellationToken).ConfigureAwait(false);
        }

        // A length that the transport has computed was not declared before the body was asked for.
        if ((isCopied || _isLengthGiven) && Headers.NonValidated.Contains("Content-Length")
            && Headers.ContentLength is { } declared && declared != destination.Written)
        {
            throw new NotStorableException($"its body has {destination.Written} bytes, and its Content-Length says {declared}");
        }
    }

    protected override Task SendAsync(Stream network, TransportContext? context, bool isAsync, CancellationToken cancellationToken)
    {
        var sending = SendOrCopyAsync(network, context, isAsync, cancellationToken);
        if (_spool is null || sending.IsCompleted)
        {
            return sending;
        }

        // A body that is copied is read on after the sending was broken off, and nobody awaits its failure then.
        _ = sending.ContinueWith(static sending => sending.Exception, TaskScheduler.Default);
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

        _spool.IsOnlyCopy = true;
        await CopyAsync(Stream.Null, context: null, isAsync, cancellationToken).ConfigureAwait(false);
        return _spool.OpenView();
    }

    protected override bool TryComputeLength(out long length)
    {
        length = _inner.Headers.ContentLength ?? -1;
        _isSmall = length is >= 0 and <= SendingStream.PartLength;
        return length >= 0;
    }

    /// <summary>Leaves the caller's content as it is while the attempt is under way.</summary>
    protected override void Dispose(bool disposing)
    {
        End(Disposed);
        base.Dispose(disposing);
    }

    private void End(int end)
    {
        if ((Interlocked.Or(ref _ends, end) | end) == (Released | Disposed))
        {
            _inner.Dispose();
        }
    }

    private async Task SendOrCopyAsync(Stream network, TransportContext? context, bool isAsync, CancellationToken cancellationToken)
    {
        if (_spool is null)
        {
            network = _isSmall ? network : new SendingStream(network, this, copying: null, cancellationToken);
            await SerializeAsync(network, context, isAsync, cancellationToken).ConfigureAwait(false);
            ((IProgress<int>)this).Report(0);
        }
        else if (!await CopyAsync(network, context, isAsync, cancellationToken).ConfigureAwait(false))
        {
            await base.SendAsync(network, context, isAsync, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>
    /// Serialises the body to the network and into the spool, to its end even when the network has failed, unless the copy is there. A
    /// handler inside may send again while the first sending still reads the body.
    /// </summary>
    /// <returns><see langword="false"/> when the copy was there, and nothing was written to the network.</returns>
    private async Task<bool> CopyAsync(Stream network, TransportContext? context, bool isAsync, CancellationToken networkToken)
    {
        await TakeTurnAsync(networkToken).ConfigureAwait(false);
        try
        {
            if (_isCopied)
            {
                return false;
            }

            if (_spool!.IsOnlyCopy)
            {
                // Nothing is left to be sent.
                _readFailure?.Throw();
            }

            (_hasBegun, _readFailure) = (true, null);
            _spool.Restart();
            var both = new SendingStream(network, this, copying: this, networkToken);
            try
            {
                await SerializeAsync(both, context, isAsync, _callerToken).ConfigureAwait(false);
                _isCopied = _copyFailure is null;
            }
            catch (Exception e)
            {
                _readFailure = ExceptionDispatchInfo.Capture(e);
            }

            both.ThrowIfFailed();
            _readFailure?.Throw();
            return true;
        }
        finally
        {
            GiveTurn();
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

    /// <summary>Waits until nobody else reads the body. It costs an object only where somebody waits.</summary>
    private async Task TakeTurnAsync(CancellationToken cancellationToken)
    {
        while (Interlocked.CompareExchange(ref _turn, _taken, null) is { } turn)
        {
            if (turn != _taken || Interlocked.CompareExchange(
                ref _turn, turn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously), _taken) == _taken)
            {
                await ((TaskCompletionSource)turn).Task.WaitAsync(cancellationToken).ConfigureAwait(false);
            }
        }
    }

    private void GiveTurn() => (Interlocked.Exchange(ref _turn, null) as TaskCompletionSource)?.SetResult();
}
