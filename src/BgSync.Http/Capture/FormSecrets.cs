using System.Text;

namespace BgSync.Http.Capture;

/// <summary>Finds forms that carry a password or a token (RFC 6749), which is not written down by default.</summary>
internal static class FormSecrets
{
    /// <summary>How much of a body is looked at.</summary>
    public const int StartLength = 64 * 1024;

    /// <summary>Why such a request is not queued; completes "It was not queued, because".</summary>
    public const string Reason =
        "its form has a field for a password or a token (grant_type, client_secret, refresh_token or password), which is not written down; "
        + "name a route for it, or name the queue on the request";

    /// <summary>The longest field name, each character of which may be written as "%70".</summary>
    private const int LongestName = 3 * 13;

    private static readonly string[] _names = ["grant_type", "client_secret", "refresh_token", "password"];

    /// <summary>Whether the content is a form by its type. Only then is its start worth being kept at hand.</summary>
    /// <param name="contentHeaders">The content headers; <see langword="null"/> for a request without content.</param>
    public static bool IsForm(IEnumerable<KeyValuePair<string, string>>? contentHeaders)
    {
        foreach (var (name, value) in contentHeaders ?? [])
        {
            var type = value.AsSpan(0, value.IndexOf(';', StringComparison.Ordinal) is >= 0 and var end ? end : value.Length);
            if (name.Equals("Content-Type", StringComparison.OrdinalIgnoreCase)
                && type.Trim().Equals("application/x-www-form-urlencoded", StringComparison.OrdinalIgnoreCase))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Whether a body is a form with one of the fields.</summary>
    /// <param name="contentHeaders">The content headers; <see langword="null"/> for a request without content.</param>
    /// <param name="bodyStart">The body, or its start: no more than <see cref="StartLength"/> bytes are looked at.</param>
    public static bool AreIn(IEnumerable<KeyValuePair<string, string>>? contentHeaders, ReadOnlySpan<byte> bodyStart)
    {
        if (!IsForm(contentHeaders))
        {
            return false;
        }

        bodyStart = bodyStart[..Math.Min(bodyStart.Length, StartLength)];
        foreach (var range in bodyStart.Split((byte)'&'))
        {
            var field = bodyStart[range];
            var end = field.IndexOf((byte)'=');
            if (IsSecret(end < 0 ? field : field[..end]))
            {
                return true;
            }
        }

        return false;
    }

    private static bool IsSecret(ReadOnlySpan<byte> written)
    {
        if (written.Length > LongestName)
        {
            return false;
        }

        Span<char> name = stackalloc char[LongestName];
        var length = Encoding.Latin1.GetChars(written, name);
        var decoded = Uri.UnescapeDataString(name[..length]);
        return _names.Contains(decoded, StringComparer.OrdinalIgnoreCase);
    }
}
