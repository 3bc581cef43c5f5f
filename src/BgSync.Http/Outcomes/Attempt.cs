namespace BgSync.Http.Outcomes;

/// <summary>One attempt and its time: the token is cancelled when the time is up, or by the caller.</summary>
internal sealed class Attempt : CancellationTokenSource
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

    /// <summary>What a failure of this attempt means.</summary>
    /// <param name="failure">The failure.</param>
    /// <param name="classify">What it means by itself.</param>
    /// <param name="wasTaken">Whether the method is another one now: a server took the request, and said where to GET the response.</param>
    public FailureVerdict Judge(Exception failure, Func<Exception, FailureVerdict> classify, bool wasTaken)
    {
        var verdict = IsTimedOut ? FailureVerdict.MaybeProcessed : classify(failure);
        return verdict == FailureVerdict.NotSent && wasTaken ? FailureVerdict.MaybeProcessed : verdict;
    }

    /// <summary>What the caller is told: of a time-out the same as <see cref="HttpClient"/> says.</summary>
    public Exception Explain(Exception failure) => IsTimedOut && failure is OperationCanceledException
        ? new TaskCanceledException(
            $"The request was canceled due to the configured timeout of {_timeout.TotalSeconds} seconds elapsing.",
            new TimeoutException(failure.Message, failure))
        : failure;

    protected override void Dispose(bool disposing)
    {
        _registration.Dispose();
        base.Dispose(disposing);
    }
}
