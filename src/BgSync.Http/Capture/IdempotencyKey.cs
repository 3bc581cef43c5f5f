using System.Buffers.Binary;
using System.Security.Cryptography;

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

    /// <summary>Sees to it that a POST or PATCH carries a key, before its first send; the caller's own is never overwritten.</summary>
    /// <returns>Whether the request carries one.</returns>
    public static bool Ensure(HttpRequestMessage request, string? header, IdempotencyKeyFormat format, TimeProvider timeProvider)
    {
        if (header is null)
        {
            return false;
        }

        if (request.Headers.NonValidated.Contains(header))
        {
            return true;
        }

        if (request.Method != HttpMethod.Post && request.Method != HttpMethod.Patch)
        {
            return false;
        }

        var key = NewKey(timeProvider.GetUtcNow()).ToString();
        return request.Headers.TryAddWithoutValidation(header, format == IdempotencyKeyFormat.QuotedString ? $"\"{key}\"" : key);
    }

    /// <summary>Whether sending a request twice does no more than sending it once (RFC 9110, 9.2.2).</summary>
    public static bool IsIdempotent(HttpMethod method) =>
        method == HttpMethod.Put || method == HttpMethod.Delete || method == HttpMethod.Get || method == HttpMethod.Head
        || method == HttpMethod.Options || method == HttpMethod.Trace;

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
