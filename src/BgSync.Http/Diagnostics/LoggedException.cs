using BgSync.Http.Outcomes;

namespace BgSync.Http.Diagnostics;

/// <summary>
/// An exception as a log may print it. Its text bears no control characters, which a terminal would obey, and no header values.
/// </summary>
internal sealed class LoggedException : Exception
{
    private readonly Exception _original;

    private LoggedException(Exception original)
        : base($"{original.GetType()}: {FailureText.MessageOf(original)}", Of(original.InnerException)) => _original = original;

    public override string? StackTrace => _original.StackTrace;

    /// <summary>The exception itself, where it may be printed as it is.</summary>
    public static Exception? Of(Exception? original) =>
        original is null || (IsFit(original) && ReferenceEquals(Of(original.InnerException), original.InnerException))
            ? original
            : new LoggedException(original);

    /// <summary>An exception may print more than its message: the lines of its text are looked at too.</summary>
    private static bool IsFit(Exception original) => FailureText.MessageOf(original) == original.Message
        && original.ToString().Split(Environment.NewLine).All(static line => FailureText.Clean(line) == line);
}
