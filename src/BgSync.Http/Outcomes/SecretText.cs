using System.Net.Http.Headers;
using System.Text.RegularExpressions;

namespace BgSync.Http.Outcomes;

/// <summary>Takes secrets out of a text: the values of a request's headers, credentials of HTTP, and those in an address.</summary>
internal static class SecretText
{
    private const string Hidden = "…";

    /// <summary>A shorter value would take letters out of every second word, and is no secret.</summary>
    private const int MinLength = 4;

    // A generated expression would stand in another namespace, and Outcomes knows none.
#pragma warning disable SYSLIB1045
    private static readonly Regex _credentials = new(
        @"\b(Bearer|Basic|Digest|Negotiate|NTLM)\s+[^\s""',;]+", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant);

    private static readonly Regex _userInfo = new(@"://[^/?#\s]*@", RegexOptions.CultureInvariant);
#pragma warning restore SYSLIB1045

    /// <summary>Puts "…" in the place of each secret.</summary>
    /// <param name="text">The text.</param>
    /// <param name="request">The request whose header values are secrets.</param>
    public static string Redact(string text, HttpRequestMessage? request)
    {
        if (request is not null)
        {
            var secrets = new SortedSet<string>(LongestFirst.Instance);
            Collect(request.Headers, secrets);
            Collect(request.Content?.Headers, secrets);
            foreach (var secret in secrets)
            {
                text = text.Replace(secret, Hidden, StringComparison.Ordinal);
            }
        }

        text = _credentials.Replace(text, $"$1 {Hidden}");
        return _userInfo.Replace(text, $"://{Hidden}@");
    }

    private static void Collect(HttpHeaders? headers, SortedSet<string> secrets)
    {
        if (headers is null)
        {
            return;
        }

        foreach (var (name, values) in headers.NonValidated)
        {
            foreach (var value in values)
            {
                Add(value, secrets);
                if (name.EndsWith("Authorization", StringComparison.OrdinalIgnoreCase))
                {
                    // "Bearer x": an exception may quote the credentials without their scheme.
                    Add(value.AsSpan()[(value.IndexOf(' ', StringComparison.Ordinal) + 1)..], secrets);
                }
                else if (name.Contains("Cookie", StringComparison.OrdinalIgnoreCase))
                {
                    CollectCookies(value, secrets);
                }
            }
        }
    }

    private static void CollectCookies(ReadOnlySpan<char> cookies, SortedSet<string> secrets)
    {
        foreach (var range in cookies.Split(';'))
        {
            var cookie = cookies[range];
            Add(cookie[(cookie.IndexOf('=') + 1)..], secrets);
        }
    }

    private static void Add(ReadOnlySpan<char> value, SortedSet<string> secrets)
    {
        value = value.Trim();
        if (value.Length >= MinLength)
        {
            secrets.Add(value.ToString());
        }
    }

    /// <summary>A value that is a part of another one is replaced after it, or the rest of the other one would stay.</summary>
    private sealed class LongestFirst : IComparer<string>
    {
        public static LongestFirst Instance { get; } = new();

        public int Compare(string? x, string? y) =>
            y!.Length != x!.Length ? y.Length.CompareTo(x.Length) : string.CompareOrdinal(x, y);
    }
}
