using System.Text;

namespace BgSync.Http.LiteDB.Collections;

/// <summary>
/// The collection of a queue bears the queue's name. What LiteDB does not allow in one is written <c>$</c> and two hexadecimal digits
/// for each byte of its UTF-8; as a name cannot begin with <c>$</c>, a <c>_</c> goes before it there, and is no part of the name.
/// </summary>
internal static class CollectionName
{
    /// <summary>The name, escaped where it has to be.</summary>
    public static string Of(string queue) => Escape(queue, static letter => char.IsAsciiLetterOrDigit(letter) || letter == '_');

    /// <summary>
    /// The name with every letter escaped: for one that differs from another queue's in case only, which LiteDB does not tell apart.
    /// </summary>
    public static string Exact(string queue) => Escape(queue, static _ => false);

    /// <summary>The queue's name.</summary>
    public static string QueueOf(string collection)
    {
        var bytes = new List<byte>(collection.Length);
        for (var i = collection.StartsWith("_$", StringComparison.Ordinal) ? 1 : 0; i < collection.Length; i++)
        {
            if (collection[i] == '$')
            {
                bytes.Add(Convert.ToByte(collection.Substring(i + 1, 2), 16));
                i += 2;
            }
            else
            {
                bytes.Add((byte)collection[i]);
            }
        }

        return Encoding.UTF8.GetString([.. bytes]);
    }

    private static string Escape(string queue, Func<char, bool> stays)
    {
        ArgumentException.ThrowIfNullOrEmpty(queue);
        var name = new StringBuilder(queue.Length);
        foreach (var letter in Encoding.UTF8.GetBytes(queue).Select(static value => (char)value))
        {
            // No name begins with a digit; and with "_$" none but one whose first letter is escaped.
            var isFirst = name.Length == 0 && char.IsAsciiDigit(letter);
            _ = stays(letter) && !isFirst ? name.Append(letter) : name.Append('$').Append(((int)letter).ToString("X2", null));
        }

        return name switch
        {
            _ when name[0] == '$' => "_" + name,
            { Length: > 1 } when name[0] == '_' && name[1] == '$' => "_$5F" + name.ToString(1, name.Length - 1),
            _ => name.ToString(),
        };
    }
}
