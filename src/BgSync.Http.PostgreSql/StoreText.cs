using System.Buffers;
using System.Text;
using BgSync.Http.Storage;

namespace BgSync.Http.PostgreSql;

/// <summary>Text as PostgreSQL can hold it: without U+0000 and without halves of surrogate pairs.</summary>
internal static class StoreText
{
    // What fits into an index beside the queue's name; 2,704 bytes is the most that PostgreSQL has room for.
    private const int MostBytes = 2000;

    private static readonly SearchValues<char> _suspects = SearchValues.Create(
        [.. Enumerable.Range(0xD800, 0x800).Select(static c => (char)c), '\0']);

    /// <summary>A text that is there to be read; what cannot be held is replaced.</summary>
    public static string? Readable(string? text) =>
        text is null || IsClean(text) ? text : Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text)).Replace('\0', '\uFFFD');

    /// <summary>A text that stands for itself: another in its place would be another lane or another address.</summary>
    /// <exception cref="QueueStoreException">It cannot be held.</exception>
    public static string? Exact(string? text, string what) =>
        text is null || IsClean(text)
            ? text
            : throw new QueueStoreException(
                StoreFault.Unavailable,
                $"PostgreSQL cannot hold the {what}, because it has U+0000 or half of a surrogate pair in it. Leave that out.");

    /// <summary>A name by which entries are found.</summary>
    /// <exception cref="QueueStoreException">It cannot be held, or is too long to be found by.</exception>
    public static string? Key(string? text, string what) =>
        Exact(text, what) is { Length: > MostBytes / 3 } key && Encoding.UTF8.GetByteCount(key) > MostBytes
            ? throw new QueueStoreException(
                StoreFault.Unavailable,
                $"The {what} is longer than the {MostBytes} bytes by which PostgreSQL can find it. Make it shorter, such as by a hash.")
            : text;

    private static bool IsClean(string text)
    {
        var first = text.AsSpan().IndexOfAny(_suspects);
        if (first < 0)
        {
            return true;
        }

        for (var rest = text.AsSpan(first); !rest.IsEmpty;)
        {
            if (rest[0] == '\0' || Rune.DecodeFromUtf16(rest, out _, out var length) != OperationStatus.Done)
            {
                return false;
            }

            rest = rest[length..];
        }

        return true;
    }
}
