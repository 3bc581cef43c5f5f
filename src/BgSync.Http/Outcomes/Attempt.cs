using System.Globalization;
using System.Net.Sockets;

namespace BgSync.Http.Outcomes;

/// <summary>One attempt and its time: the token is cancelled when the time is up, or by the caller.</summary>
internal sealed class Attempt : CancellationTokenSource, IProgress<int>
{
    private readonly TimeSpan _timeout;
    private readonly CancellationToken _caller;
    private readonly CancellationTokenRegistration _registration;

    public Attempt(TimeSpan timeout, TimeProvider timeProvider, CancellationToken caller)
        : base(timeout, timeProvider)
    {
        _timeout = timeout;
        _caller = caller;
        _registration = caller.UnsafeRegister(static attempt => ((Attempt)attempt!).Cancel(), this);
    }

    /// <summary>Whether the time is up, and the caller still waits.</summary>
    public bool IsTimedOut => IsCancellationRequested && !_caller.IsCancellationRequested;

    /// <summary>Counts the time from now: the attempt has moved on. An attempt that has ended stays ended.</summary>
    public void Restart()
    {
        try
        {
            CancelAfter(_timeout);
        }
        catch (ObjectDisposedException)
        {
            // Its body moves after its end.
        }
    }

    /// <summary>A part of its body has moved.</summary>
    void IProgress<int>.Report(int value) => Restart();

    /// <summary>Lets the time stand still until the attempt is restarted.</summary>
    public void Pause() => CancelAfter(Timeout.InfiniteTimeSpan);

    /// <summary>The meaning of a failure of this attempt.</summary>
    /// <param name="failure">The failure.</param>
    /// <param name="classify">Says the meaning of a failure that is no time-out.</param>
    /// <param name="wasTaken">Whether the method is another one now: a server took the request, and said where to GET the response.</param>
    /// <param name="wasBodyAskedFor">
    /// Whether the transport has asked for the body; otherwise the time passed while the request waited for a connection.
    /// </param>
    public FailureVerdict Classify(
        Exception failure, Func<Exception, FailureVerdict> classify, bool wasTaken, bool wasBodyAskedFor = true)
    {
        var verdict = !IsTimedOut ? classify(failure)
            : wasBodyAskedFor ? FailureVerdict.MaybeProcessed
            : FailureVerdict.NotSent;
        // A handler inside that knows that there is no network fails before it asks for the body.
        verdict = verdict == FailureVerdict.MaybeProcessed && !wasBodyAskedFor && !IsOfConnection(failure)
            ? FailureVerdict.NotSent
            : verdict;
        return verdict == FailureVerdict.NotSent && wasTaken ? FailureVerdict.MaybeProcessed : verdict;
    }

    /// <summary>The exception for the caller: of a time-out the same as <see cref="HttpClient"/> throws.</summary>
    public Exception ToCallerException(Exception failure) => IsTimedOut && failure is OperationCanceledException
        ? new TaskCanceledException(
            string.Create(
                CultureInfo.InvariantCulture,
                $"The request was canceled due to the configured timeout of {_timeout.TotalSeconds} seconds elapsing."),
            new TimeoutException(failure.Message, failure))
        : failure;

    /// <summary>Whether a failure itself says that there was a connection, so that the server may have seen the request.</summary>
    private static bool IsOfConnection(Exception failure) =>
        failure is HttpRequestException { HttpRequestError: not HttpRequestError.Unknown } or IOException or SocketException;

    protected override void Dispose(bool disposing)
    {
        _registration.Dispose();
        base.Dispose(disposing);
    }
}
