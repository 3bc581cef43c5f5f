using System.Collections.Frozen;
using System.Net;

namespace BgSync.Http.Outcomes;

/// <summary>A response to a replay, as far as the rules ask for it.</summary>
internal sealed record Answer
{
    /// <summary>The spellings of the header by which a server says that it repeats the answer that it has stored for a key.</summary>
    private static readonly FrozenSet<string> _storedAnswer = FrozenSet.Create(
        StringComparer.OrdinalIgnoreCase,
        "Idempotent-Replayed", "Idempotent-Replay", "Idempotency-Replayed", "Idempotency-Replay", "Idempotency-Key-Replayed",
        "X-Idempotent-Replayed", "X-Idempotent-Replay", "X-Idempotency-Replayed", "X-Idempotency-Replay");

    /// <summary>The status.</summary>
    public required int StatusCode { get; init; }

    /// <summary>The wait that the server asks for, cut to the longest that is allowed.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>
    /// The address to which a redirect led, or would have led; <see langword="null"/> when the answer is that of the server to the
    /// request as it was sent.
    /// </summary>
    public string? RedirectedTo { get; init; }

    /// <summary>Whether the server repeats the answer that it has stored for the request's key.</summary>
    public bool IsStored { get; init; }

    /// <summary>The media type of the body; <see langword="null"/> when there is no body, or it has none.</summary>
    public string? MediaType { get; init; }

    /// <summary>Whether the response has a body, as far as its headers say.</summary>
    public bool HasBody { get; init; }

    /// <summary>The meaning that the application gives to the response; <see langword="null"/> leaves it to the rules.</summary>
    public ResponseVerdict? Verdict { get; init; }

    /// <summary>The failure of the application when it was asked for the meaning.</summary>
    public string? VerdictFailure { get; init; }

    /// <summary>Whether an earlier attempt at the entry may still be running on the server.</summary>
    public bool EarlierMayRun { get; init; }

    /// <summary>Whether the status is one for which the origin is held: credentials are wanted.</summary>
    public bool WantsCredentials => StatusCode is 401 or 407 or 511;

    /// <summary>Takes a response down.</summary>
    /// <param name="response">The response.</param>
    /// <param name="sent">The request as it was sent.</param>
    /// <param name="wire">The request as the last handler gave it to the connection; a redirect leaves it as it is.</param>
    /// <param name="now">The time, for a <c>Retry-After</c> date of a response without <c>Date</c>.</param>
    /// <param name="maxRetryAfter">The longest wait that is allowed.</param>
    public static Answer Of(
        HttpResponseMessage response, SentRequest sent, (HttpMethod Method, Uri Uri)? wire, DateTimeOffset now, TimeSpan maxRetryAfter) =>
        new()
        {
            StatusCode = (int)response.StatusCode,
            RetryAfter = RetryAfterOf(response, now, maxRetryAfter),
            RedirectedTo = TargetOf(response, wire ?? (sent.Method, sent.Uri)),
            IsStored = sent.HasKey && response.Headers.NonValidated.Any(static header =>
                _storedAnswer.Contains(header.Key) && header.Value.ToString().Trim() is not ("" or "0" or "false" or "False")),
            MediaType = response.Content.Headers.ContentType?.MediaType,
            HasBody = response.Content.Headers.ContentLength is not 0 && response.StatusCode is not HttpStatusCode.NoContent,
        };

    /// <summary>
    /// The wait of <c>Retry-After</c> (<see href="https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3">RFC 9110, 10.2.3</see>). A date
    /// counts from the <c>Date</c> of the response, so that the clock of this machine does not matter.
    /// </summary>
    /// <returns><see langword="null"/> when there is none, when it is over, or in words that are not of the RFC.</returns>
    public static TimeSpan? RetryAfterOf(HttpResponseMessage response, DateTimeOffset now, TimeSpan max)
    {
        var header = response.Headers.RetryAfter;
        var wait = header?.Delta ?? (header?.Date - (response.Headers.Date ?? now));
        return wait is null || wait <= TimeSpan.Zero ? null : wait < max ? wait : max;
    }

    private static string? TargetOf(HttpResponseMessage response, (HttpMethod Method, Uri Uri) wire)
    {
        if ((int)response.StatusCode is >= 300 and < 400 and not 304)
        {
            var location = response.Headers.Location;
            return location is null ? "nowhere" : Shown(location.IsAbsoluteUri ? location : new Uri(wire.Uri, location));
        }

        var final = response.RequestMessage;
        return final?.RequestUri is { IsAbsoluteUri: true } address
            && (final.Method != wire.Method || RequestSnapshot.OriginOf(address) != RequestSnapshot.OriginOf(wire.Uri))
                ? Shown(address)
                : null;
    }

    /// <summary>An address without its query, which may bear secrets.</summary>
    private static string Shown(Uri uri) => FailureText.Clean(
        uri.GetComponents(UriComponents.SchemeAndServer | UriComponents.Path, UriFormat.UriEscaped));
}
