using System.Diagnostics.CodeAnalysis;
using System.Net.Sockets;
using System.Text;

namespace BgSync.Http.Outcomes;

/// <summary>
/// Says in a few words what went wrong, for logs, entries and terminals. The text bears no control characters and no secret of the
/// request, and is the same in every culture.
/// </summary>
internal static class FailureText
{
    /// <summary>The longest text that <see cref="Of"/> makes, in UTF-16 units.</summary>
    public const int MaxLength = 500;

    private const string Timeout = "Timeout";

    /// <summary>Polly's time-out, known by name so that the library needs no reference to it.</summary>
    private const string PollyTimeout = "Polly.Timeout.TimeoutRejectedException";

    /// <summary>The kind of the failure and its message: that of a time-out, or else the innermost one.</summary>
    /// <param name="failure">The failure.</param>
    /// <param name="request">The request that failed, whose header values are taken out of the text.</param>
    public static string Of(Exception failure, HttpRequestMessage? request = null)
    {
        ArgumentNullException.ThrowIfNull(failure);
        var (kind, message) = FindCause(failure);
        return Shorten(Clean($"{kind}: {SecretText.Redact(message, request)}"));
    }

    /// <summary>The message of one exception, without control characters and without a value that it complains of.</summary>
    public static string MessageOf(Exception failure) => Clean(SecretText.Redact(Describe(failure), request: null));

    /// <summary>
    /// Makes a text of a server, a hook or an inner handler fit for a log, a store and a terminal. Line ends and tabs become visible
    /// escapes; other control characters, line separators, overrides of the writing direction and halves of surrogate pairs become
    /// U+FFFD.
    /// </summary>
    [return: NotNullIfNotNull(nameof(text))]
    public static string? Clean(string? text)
    {
        var first = 0;
        while (first < text?.Length && IsFit(text, first))
        {
            first++;
        }

        if (text is null || first == text.Length)
        {
            return text;
        }

        var clean = new StringBuilder(text, 0, first, text.Length + 16);
        for (var i = first; i < text.Length; i++)
        {
            _ = text[i] switch
            {
                '\n' => clean.Append("\\n"),
                '\r' => clean.Append("\\r"),
                '\t' => clean.Append("\\t"),
                var letter => clean.Append(IsFit(text, i) ? letter : '\uFFFD'),
            };
        }

        return clean.ToString();
    }

    private static (string Kind, string Message) FindCause(Exception failure)
    {
        if (FindTimeout(failure) is { } timeout)
        {
            return (Timeout, Describe(timeout));
        }

        var cause = failure.GetBaseException();
        var kind = failure is HttpRequestException { HttpRequestError: not HttpRequestError.Unknown } typed
            ? typed.HttpRequestError.ToString()
            : cause.GetType().Name;
        // Both are how a socket says that somebody else broke its work off.
        return cause is SocketException { SocketErrorCode: SocketError.OperationAborted }
            ? ("Canceled", "The attempt was broken off.")
            : (kind, Describe(cause));
    }

    private static string Describe(Exception failure) => failure switch
    {
        // These quote the value that they complain of, which may be a header's.
        FormatException => "A value does not have the format that it needs.",
        ArgumentException => "A value was not accepted.",
        AggregateException { InnerExceptions: var causes } => string.Join("; ", causes.Select(static cause => Of(cause))),
        _ => failure.Message,
    };

    /// <returns>The outermost failure that speaks of a time-out; <see langword="null"/> when none does.</returns>
    private static Exception? FindTimeout(Exception failure)
    {
        for (Exception? cause = failure; cause is not null; cause = cause.InnerException)
        {
            if (cause is TimeoutException or OperationCanceledException { InnerException: TimeoutException }
                || cause.GetType().FullName == PollyTimeout)
            {
                return cause;
            }
        }

        return null;
    }

    private static bool IsFit(string text, int at)
    {
        var letter = text[at];
        return letter switch
        {
            < ' ' or (>= '\u007F' and <= '\u009F') => false,
            '\u2028' or '\u2029' or (>= '\u202A' and <= '\u202E') or (>= '\u2066' and <= '\u2069') => false,
            _ when char.IsHighSurrogate(letter) => at + 1 < text.Length && char.IsLowSurrogate(text[at + 1]),
            _ when char.IsLowSurrogate(letter) => at > 0 && char.IsHighSurrogate(text[at - 1]),
            _ => true,
        };
    }

    private static string Shorten(string text)
    {
        if (text.Length <= MaxLength)
        {
            return text;
        }

        return text[..(char.IsHighSurrogate(text[MaxLength - 1]) ? MaxLength - 1 : MaxLength)];
    }
}
