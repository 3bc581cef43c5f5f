using Microsoft.Extensions.Logging;

namespace BgSync.Http.Diagnostics;

/// <summary>
/// A logger that never throws, so that a log that is full, or a provider with a defect, neither breaks a request nor the replay. It
/// passes an exception on as a <see cref="LoggedException"/>.
/// </summary>
/// <param name="inner">The application's logger.</param>
internal sealed class SafeLogger(ILogger inner) : ILogger
{
    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull
    {
        try
        {
            return inner.BeginScope(state);
        }
        catch (Exception)
        {
            return null;
        }
    }

    public bool IsEnabled(LogLevel logLevel)
    {
        try
        {
            return inner.IsEnabled(logLevel);
        }
        catch (Exception)
        {
            return false;
        }
    }

    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        try
        {
            var logged = LoggedException.Of(exception);
            inner.Log(logLevel, eventId, state, logged, formatter);
        }
        catch (Exception)
        {
            // There is nowhere left to say it.
        }
    }
}
