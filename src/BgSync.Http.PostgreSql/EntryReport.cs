using BgSync.Http.Storage;
using BgSync.Http.Storage.Format;
using Npgsql;

namespace BgSync.Http.PostgreSql;

/// <summary>The report of a function of the schema on an entry.</summary>
internal sealed record EntryReport
{
    private const int FirstOfRequest = 14;

    /// <summary>The columns of the schema's type <c>report</c>, the request's own apart.</summary>
    public static string Columns { get; } =
        "kind, id, queue, attempts, last_error, edits, reason, at, token, excess_entries, excess_bytes, history_at, history_status, "
        + "history_error, " + RequestColumns.Of("(request)");

    public required EntryReportKind Kind { get; init; }

    public required long Id { get; init; }

    public required string Queue { get; init; }

    public int Attempts { get; init; }

    public string? LastError { get; init; }

    public int Edits { get; init; }

    public DeadLetterCause Cause { get; init; }

    /// <summary>When it died, or when its lease ends; the length of the body of one that was refused.</summary>
    public long At { get; init; }

    public Guid Token { get; init; }

    public QueueExcess Excess { get; init; }

    public IReadOnlyList<FailedAttempt> History { get; init; } = [];

    /// <summary>The entry; its queue is missing where its row is gone.</summary>
    public EntryRow Row { get; init; } = new();

    public static EntryReport Read(NpgsqlDataReader reader) => new()
    {
        Kind = (EntryReportKind)reader.GetInt32(0),
        Id = reader.IsDBNull(1) ? 0 : reader.GetInt64(1),
        Queue = reader.GetString(2),
        Attempts = reader.IsDBNull(3) ? 0 : reader.GetInt32(3),
        LastError = reader.IsDBNull(4) ? null : reader.GetString(4),
        Edits = reader.IsDBNull(5) ? 0 : reader.GetInt32(5),
        Cause = reader.IsDBNull(6) ? default : (DeadLetterCause)reader.GetInt32(6),
        At = reader.IsDBNull(7) ? 0 : reader.GetInt64(7),
        Token = reader.IsDBNull(8) ? default : reader.GetGuid(8),
        Excess = reader.IsDBNull(9) ? default : new QueueExcess(reader.GetInt64(9), reader.GetInt64(10)),
        History = ReadHistory(reader, 11),
        Row = RequestColumns.Read(reader, FirstOfRequest),
    };

    /// <summary>Reads three arrays from a column on: times, statuses and errors.</summary>
    public static IReadOnlyList<FailedAttempt> ReadHistory(NpgsqlDataReader reader, int first)
    {
        if (reader.IsDBNull(first))
        {
            return [];
        }

        var statusCodes = reader.GetFieldValue<int?[]>(first + 1);
        var errors = reader.GetFieldValue<string?[]>(first + 2);
        return [.. reader.GetFieldValue<long[]>(first)
            .Select((at, i) => new FailedAttempt(UnixTime.ToTime(at), statusCodes[i], errors[i]))];
    }

    /// <summary>The entry; <see langword="null"/> when it cannot be read.</summary>
    public QueuedEntry? Decode() => Decode(out _);

    public LeasedEntry ToLease()
    {
        var entry = Decode(out var damage);
        return new LeasedEntry
        {
            Lease = new Lease(Id, Token),
            Entry = entry is null ? null : entry with { DueAt = UnixTime.ToTime(At), IsLeased = true },
            Damage = damage,
        };
    }

    public DeadLetter ToLetter(string? error = null) => new()
    {
        Id = Id,
        Queue = Queue,
        Entry = Decode(),
        Cause = Cause,
        Error = error,
        History = History,
        DeadLetteredAt = UnixTime.ToTime(At),
    };

    private QueuedEntry? Decode(out string? damage)
    {
        if (Row.Queue is null)
        {
            damage = "The entry's row is gone.";
            return null;
        }

        return RequestColumns.Decode(Row, Id, Attempts, LastError, Edits, out damage);
    }
}
