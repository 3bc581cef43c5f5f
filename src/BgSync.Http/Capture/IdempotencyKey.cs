using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace BgSync.Http.Capture;

/// <summary>The key by which a server recognises a request that it has seen.</summary>
internal static class IdempotencyKey
{
    /// <summary>
    /// Random bytes for many keys: to ask the system for those of one takes the longest of all that a watched request costs.
    /// </summary>
    private static readonly byte[] _random = new byte[64 * 16];
    private static readonly Lock _lock = new();
    private static int _used = _random.Length;

    /// <summary>The key that a request carries; <see langword="null"/> when it carries none.</summary>
    public static string? Of(HttpRequestMessage request, string? header) =>
        header is not null && request.Headers.NonValidated.TryGetValues(header, out var values) ? values.ToString() : null;

    /// <summary>Sees to it that a POST or PATCH carries a key, before its first send; the caller's own is never overwritten.</summary>
    /// <returns>Whether the request carries one.</returns>
    public static bool Ensure(HttpRequestMessage request, string? header, IdempotencyKeyFormat format, TimeProvider timeProvider)
    {
        if (header is not null && Of(request, header) is null && (request.Method == HttpMethod.Post || request.Method == HttpMethod.Patch))
        {
            Replace(request, header, format, timeProvider);
        }

        return Of(request, header) is not null;
    }

    /// <summary>Gives a request a new key, in the place of the one that it has.</summary>
    public static void Replace(HttpRequestMessage request, string header, IdempotencyKeyFormat format, TimeProvider timeProvider)
    {
        request.Headers.Remove(header);
        request.Headers.TryAddWithoutValidation(header, Format(NewKey(timeProvider.GetUtcNow()), format));
    }

    /// <summary>The key of a request that was made of another one: the same for the same change, and never the other's.</summary>
    /// <param name="key">The key of the other request.</param>
    /// <param name="target">The method and the address.</param>
    /// <param name="body">The body.</param>
    /// <param name="format">How the key is written.</param>
    /// <returns>A UUID of version 8 (RFC 9562, 5.8).</returns>
    public static string Derive(string key, string target, ReadOnlySpan<byte> body, IdempotencyKeyFormat format)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Encoding.UTF8.GetBytes($"{key}\n{target}\n"));
        hash.AppendData(body);
        var derived = hash.GetHashAndReset().AsSpan(0, 16);
        derived[6] = (byte)(0x80 | (derived[6] & 0x0F));
        derived[8] = (byte)(0x80 | (derived[8] & 0x3F));
        return Format(new Guid(derived, bigEndian: true), format);
    }

    /// <summary>Whether sending a request twice does no more than sending it once (RFC 9110, 9.2.2).</summary>
    public static bool IsIdempotent(HttpMethod method) =>
        method == HttpMethod.Put || method == HttpMethod.Delete || method == HttpMethod.Get || method == HttpMethod.Head
        || method == HttpMethod.Options || method == HttpMethod.Trace;

    private static string Format(Guid key, IdempotencyKeyFormat format) =>
        format == IdempotencyKeyFormat.QuotedString ? $"\"{key}\"" : key.ToString();

    /// <summary>A UUID of version 7 (RFC 9562, 5.7).</summary>
    private static Guid NewKey(DateTimeOffset now)
    {
        Span<byte> key = stackalloc byte[16];
        lock (_lock)
        {
            if (_used == _random.Length)
            {
                RandomNumberGenerator.Fill(_random);
                _used = 0;
            }

            _random.AsSpan(_used, key.Length).CopyTo(key);
            _used += key.Length;
        }

        BinaryPrimitives.WriteUInt16BigEndian(key[4..], (ushort)now.ToUnixTimeMilliseconds());
        BinaryPrimitives.WriteUInt32BigEndian(key, (uint)(now.ToUnixTimeMilliseconds() >> 16));
        key[6] = (byte)(0x70 | (key[6] & 0x0F));
        key[8] = (byte)(0x80 | (key[8] & 0x3F));
        return new(key, bigEndian: true);
    }
}
