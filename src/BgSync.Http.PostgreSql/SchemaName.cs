using System.Text.RegularExpressions;

namespace BgSync.Http.PostgreSql;

/// <summary>The name of the store's schema, the only one of the user's names that becomes part of an SQL text.</summary>
internal static partial class SchemaName
{
    public const string Rule = "1 to 63 small letters, digits and '_', the first no digit, such as \"bgsync\"";

    public static bool IsValid(string? schema) => schema is not null && Pattern().IsMatch(schema);

    /// <returns>The name as it stands in SQL, where it may be a word of the language.</returns>
    public static string Quote(string schema) => IsValid(schema)
        ? $"\"{schema}\""
        : throw new ArgumentException($"'{schema}' is not the name of a schema; write {Rule}.", nameof(schema));

    [GeneratedRegex(@"^[a-z_][a-z0-9_]{0,62}\z")]
    private static partial Regex Pattern();
}
