using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;

namespace BgSync.Http.PostgreSql;

/// <summary>Text as PostgreSQL can hold it: without U+0000 and without halves of surrogate pairs.</summary>
internal static partial class StoreText
{
    // An index has room for 2,704 bytes, which are to be enough for the queue's name too; a character takes three of them at most.
    private const int MostLength = 600;

    // By which a person knows a name that is stood for by its hash.
    private const int LengthToRead = 100;

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

    /// <summary>
    /// The text that stands for a name where entries are found by it: the name itself, or where an index has no room for it or it
    /// cannot be held, its beginning with a hash. The name of an entry's own lane (<see cref="Storage.OwnLane"/>) keeps its end,
    /// which the database appends.
    /// </summary>
    [return: NotNullIfNotNull(nameof(name))]
    public static string? KeyOf(string? name)
    {
        if (IsKey(name))
        {
            return name;
        }

        var end = OwnLaneEnd().Match(name).Value;
        var hash = Convert.ToHexStringLower(SHA256.HashData(MemoryMarshal.AsBytes(name.AsSpan(..^end.Length))));
        return $"{Readable(name[..Math.Min(LengthToRead, name.Length)])}…{hash}{end}";
    }

    /// <summary>Whether entries are found by a name itself.</summary>
    public static bool IsKey([NotNullWhen(false)] string? name) =>
        name is null || (name.Length <= MostLength && IsClean(name));

    [GeneratedRegex(@"#[0-9]+\z")]
    private static partial Regex OwnLaneEnd();

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
