using System.Globalization;

namespace BgSync.Http.Capture;

/// <summary>Keeps named <see cref="HttpRequestMessage.Options"/> among the notes of an entry: as text that names its type.</summary>
internal static class RequestOptionsCodec
{
    private const string Prefix = "option:";

    /// <summary>Adds the named options of a request to its notes.</summary>
    /// <param name="request">The request. Where no names are given, its options are not asked for.</param>
    /// <param name="names">The names of the options that are kept; one that the request does not have is left out.</param>
    /// <param name="metadata">The caller's notes.</param>
    /// <returns>The notes with the options: the same as given where there are none.</returns>
    /// <exception cref="NotStorableException">An option is of a type that cannot be written down.</exception>
    public static IReadOnlyDictionary<string, string>? AddTo(
        IReadOnlyDictionary<string, string>? metadata, HttpRequestMessage request, ICollection<string> names)
    {
        Dictionary<string, string>? both = null;
        foreach (var name in names)
        {
            if (((IDictionary<string, object?>)request.Options).TryGetValue(name, out var value) && value is not null)
            {
                both ??= metadata is null ? [] : new(metadata);
                both[Prefix + name] = Write(name, value);
            }
        }

        return both ?? metadata;
    }

    /// <summary>Gives a restored request the options that its notes hold, each with its type. Damaged text is left out.</summary>
    public static void Restore(HttpRequestMessage request, IReadOnlyDictionary<string, string> metadata)
    {
        foreach (var (name, text) in metadata)
        {
            if (name.StartsWith(Prefix, StringComparison.Ordinal) && Read(text) is { } value)
            {
                ((IDictionary<string, object?>)request.Options)[name[Prefix.Length..]] = value;
            }
        }
    }

    private static string Write(string name, object value) => value switch
    {
        string text when BackgroundSyncRequestExtensions.IsText(text) => $"string:{text}",
        string => throw new NotStorableException(
            $"the text of its option '{name}' has half of a surrogate pair, which cannot be written down"),
        bool flag => flag ? "bool:true" : "bool:false",
        int number => string.Create(CultureInfo.InvariantCulture, $"int:{number}"),
        long number => string.Create(CultureInfo.InvariantCulture, $"long:{number}"),
        double number => string.Create(CultureInfo.InvariantCulture, $"double:{number:R}"),
        Guid id => $"Guid:{id:D}",
        DateTimeOffset time => string.Create(CultureInfo.InvariantCulture, $"DateTimeOffset:{time:O}"),
        Uri { IsAbsoluteUri: true } uri => $"Uri:{RequestAddress.Format(uri)}",
        Uri uri => $"relative Uri:{uri.OriginalString}",
        _ => throw new NotStorableException(
            $"its option '{name}' is of the type {value.GetType()}, which cannot be written down; set a string, bool, int, long, double, "
            + "Guid, DateTimeOffset or Uri, or take the name out of Capture.Options"),
    };

    private static object? Read(string typed)
    {
        var end = typed.IndexOf(':', StringComparison.Ordinal);
        var text = typed[(end + 1)..];
        try
        {
            return typed[..Math.Max(end, 0)] switch
            {
                "string" => text,
                "bool" => bool.Parse(text),
                "int" => int.Parse(text, CultureInfo.InvariantCulture),
                "long" => long.Parse(text, CultureInfo.InvariantCulture),
                "double" => double.Parse(text, CultureInfo.InvariantCulture),
                "Guid" => Guid.ParseExact(text, "D"),
                "DateTimeOffset" => DateTimeOffset.ParseExact(text, "O", CultureInfo.InvariantCulture),
                "Uri" => RequestAddress.Parse(text),
                "relative Uri" => new Uri(text, UriKind.Relative),
                _ => null,
            };
        }
        catch (Exception e) when (e is FormatException or OverflowException)
        {
            return null;
        }
    }
}
