using System.Net.Http.Headers;

namespace BgSync.Http.Outcomes;

/// <summary>Reads <c>Retry-After</c> (<see href="https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3">RFC 9110, 10.2.3</see>).</summary>
internal static class RetryAfter
{
    /// <summary>The wait that a response asks for, in either form, up to <paramref name="max"/>.</summary>
    /// <returns><see langword="null"/> when it asks for none, for one that is over, or in words that are not of the RFC.</returns>
    public static TimeSpan? Read(RetryConditionHeaderValue? header, DateTimeOffset now, TimeSpan max)
    {
        var wait = header?.Delta ?? (header?.Date - now);
        return wait is null || wait <= TimeSpan.Zero ? null : wait < max ? wait : max;
    }
}
