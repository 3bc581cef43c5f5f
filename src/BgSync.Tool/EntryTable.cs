using System.Globalization;
using BgSync.Http;
using Spectre.Console;

namespace BgSync.Tool;

/// <summary>Shows the entries of a queue in their order.</summary>
internal static class EntryTable
{
    /// <summary>Where there is less room, what belongs to the request shares a column.</summary>
    private const int RoomForAllColumns = 100;

    /// <param name="entries">The entries.</param>
    /// <param name="now">The time that the next try is counted from.</param>
    /// <param name="width">The width of the terminal.</param>
    public static Table Of(IReadOnlyList<EntryRow> entries, DateTimeOffset now, int width)
    {
        // An origin that all share stands above the table, so that the paths fit beside the rest.
        string[] origins = [.. entries.Select(entry => entry.Uri.GetLeftPart(UriPartial.Authority)).Distinct().Take(2)];
        Func<EntryRow, string> uri = origins.Length == 1 ? entry => entry.Uri.PathAndQuery : entry => entry.Uri.AbsoluteUri;

        var id = new Column("Id", entry => entry.Id.ToString(CultureInfo.InvariantCulture), IsNumber: true);
        var size = new Column("Size", entry => ByteSize.Format(entry.Size), IsNumber: true);
        var attempts = new Column("Attempts", entry => entry.Attempts.ToString(CultureInfo.InvariantCulture), IsNumber: true);
        var queued = entries.Select(entry => entry.Id).ToHashSet();
        var nextTry = new Column("Next try", entry => NextTry(entry, queued, now));
        IReadOnlyList<Column> columns = width >= RoomForAllColumns
            ?
            [
                id,
                new("Lane", Lane),
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
                new("Lane, request, last error", entry => $"{Lane(entry)}\n{entry.Method} {uri(entry)}\n{entry.LastError}".Trim()),
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

    private static string Lane(EntryRow entry) =>
        entry.Priority == EntryPriority.Normal ? entry.Lane : $"{entry.Lane} ({entry.Priority})".TrimStart();

    private static string NextTry(EntryRow entry, HashSet<long> queued, DateTimeOffset now) => entry switch
    {
        { IsLeased: true } => "sending",
        { NextTry: null, Prerequisite: { } id } when queued.Contains(id) => string.Create(CultureInfo.InvariantCulture, $"after {id}"),
        { NextTry: null } => "waits", // for the one before it in its lane
        { NextTry: { } due } when due <= now => "now",
        { NextTry: { } due } when due == DateTimeOffset.MaxValue => "on a trigger",
        { NextTry: { } due } => $"in {Wait(due - now)}",
    };

    private static string Wait(TimeSpan time) => time switch
    {
        { TotalMinutes: < 2 } => string.Create(CultureInfo.InvariantCulture, $"{time.TotalSeconds:0.0} s"),
        { TotalHours: < 2 } => string.Create(CultureInfo.InvariantCulture, $"{time.TotalMinutes:0} min"),
        { TotalDays: < 2 } => string.Create(CultureInfo.InvariantCulture, $"{time.TotalHours:0} h"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{time.TotalDays:0} days"),
    };

    private sealed record Column(string Title, Func<EntryRow, string> Write, bool IsNumber = false);
}
