using System.Globalization;
using Spectre.Console;

namespace BgSync.Tool;

/// <summary>Shows the entries of a queue in their order.</summary>
internal static class EntryTable
{
    /// <summary>Where there is less room, what belongs to the request shares a column.</summary>
    private const int RoomForAllColumns = 100;

    /// <param name="entries">The entries.</param>
    /// <param name="now">What the next try is counted from.</param>
    /// <param name="width">The width of the terminal.</param>
    public static Table Of(IReadOnlyList<EntryRow> entries, DateTimeOffset now, int width)
    {
        // An origin that all share stands above the table, so that the paths fit beside the rest.
        string[] origins = [.. entries.Select(entry => entry.Uri.GetLeftPart(UriPartial.Authority)).Distinct().Take(2)];
        Func<EntryRow, string> uri = origins.Length == 1 ? entry => entry.Uri.PathAndQuery : entry => entry.Uri.AbsoluteUri;

        var id = new Column("Id", entry => entry.Id.ToString(CultureInfo.InvariantCulture), IsNumber: true);
        var size = new Column("Size", entry => ByteSize.Format(entry.Size), IsNumber: true);
        var attempts = new Column("Attempts", entry => entry.Attempts.ToString(CultureInfo.InvariantCulture), IsNumber: true);
        var nextTry = new Column("Next try", entry => NextTry(entry, now));
        IReadOnlyList<Column> columns = width >= RoomForAllColumns
            ?
            [
                id,
                new("Lane", entry => entry.Lane),
                new("Method", entry => entry.Method),
                new("URI", uri),
                size,
                attempts,
                nextTry,
                new("Last error", entry => entry.LastError ?? ""),
            ]
            :
            [
                id,
                new("Lane, request, last error", entry => $"{entry.Lane}\n{entry.Method} {uri(entry)}\n{entry.LastError}".Trim()),
                size,
                attempts,
                nextTry,
            ];

        var table = new Table { Border = TableBorder.Rounded };
        if (origins.Length == 1)
        {
            table.Title(new TableTitle(Markup.Escape(origins[0])));
        }

        foreach (var column in columns)
        {
            table.AddColumn(new TableColumn(column.Title) { Alignment = column.IsNumber ? Justify.Right : Justify.Left });
        }

        foreach (var entry in entries)
        {
            table.AddRow(columns.Select(column => new Text(column.Write(entry))));
        }

        return table;
    }

    private static string NextTry(EntryRow entry, DateTimeOffset now) => entry switch
    {
        { IsLeased: true } => "sending",
        { NextTry: null } => "waits", // for the one before it in its lane
        { NextTry: { } due } when due <= now => "now",
        { NextTry: { } due } when due == DateTimeOffset.MaxValue => "on a trigger",
        { NextTry: { } due } => string.Create(CultureInfo.InvariantCulture, $"in {(due - now).TotalSeconds:0.0} s"),
    };

    private sealed record Column(string Title, Func<EntryRow, string> Write, bool IsNumber = false);
}
