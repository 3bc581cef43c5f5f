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

    /// <summary>Whether the content is a form by its type.</summary>
    public static bool IsForm(IEnumerable<KeyValuePair<string, string>>? contentHeaders) => contentHeaders?.Any(static header =>
        header.Key.Equals("Content-Type", StringComparison.OrdinalIgnoreCase)
        && header.Value.Split(';')[0].Trim().Equals("application/x-www-form-urlencoded", StringComparison.OrdinalIgnoreCase)) == true;

    /// <summary>Whether a body is a form with one of the fields. No more than <see cref="StartLength"/> bytes are looked at.</summary>
    public static bool AreIn(IEnumerable<KeyValuePair<string, string>>? contentHeaders, ReadOnlySpan<byte> bodyStart)
    {
        if (!IsForm(contentHeaders))
        {
            return false;
        }

        bodyStart = bodyStart[..Math.Min(bodyStart.Length, StartLength)];
        foreach (var field in bodyStart.Split((byte)'&'))
        {
            if (IsSecret(bodyStart[field]))
            {
                return true;
            }
        }

        return false;
    }

    private static bool IsSecret(ReadOnlySpan<byte> field)
    {
        var end = field.IndexOf((byte)'=');
        var written = end < 0 ? field : field[..end];
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
