using System.Security.Cryptography;
using System.Text;

namespace BgSync.Http.PostgreSql;

/// <summary>The NOTIFY channel of a schema, and what is said on it.</summary>
internal sealed class ChangeChannel(string schema, string owner)
{
    /// <summary>Of a fixed length: PostgreSQL allows a channel no more letters than a schema.</summary>
    public string Name { get; } = "bgsync_" + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(schema)))[..16];

    public string PayloadOf(string queue) => $"{owner}:{queue}";

    /// <returns>The queue that another process has changed; <see langword="null"/> where it was this one.</returns>
    public string? ChangedByOther(string payload) =>
        payload.Split(':', 2) is [var sender, var queue] && sender != owner ? queue : null;
}
