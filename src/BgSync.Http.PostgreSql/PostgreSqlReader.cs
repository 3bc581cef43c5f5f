using BgSync.Http.Storage;
using BgSync.Http.Storage.Format;
using Npgsql;
using NpgsqlTypes;

namespace BgSync.Http.PostgreSql;

/// <summary>The reads of the store: each by one short query.</summary>
internal sealed class PostgreSqlReader(PostgreSqlConnections connections)
{
    /// <summary>The most entries that are read at once.</summary>
    public const int PageRows = 256;

    private const int DeadLetterPageRows = 64;

    private readonly PostgreSqlStatements _statements = new(connections.Schema);

    public Task<long> TakeIdBlockAsync(CancellationToken cancellationToken) =>
        ReadFirstAsync(_statements.TakeIdBlock, static reader => reader.GetInt64(0), cancellationToken);

    /// <summary>The next entries of a queue beyond a position, without those that cannot be read.</summary>
    /// <returns>The entries, and the position to go on from; <see langword="null"/> at the end.</returns>
    public Task<(List<QueuedEntry> Entries, long? Next)> ReadPageAsync(
        string queue, QueueEnd from, long after, int limit, CancellationToken cancellationToken) =>
        QueryAsync(
            from == QueueEnd.Front ? _statements.ReadForwards : _statements.ReadBackwards,
            async reader =>
            {
                var entries = new List<QueuedEntry>();
                var rows = 0;
                long last = 0;
                for (; await reader.ReadAsync(cancellationToken).ConfigureAwait(false); rows++)
                {
                    last = reader.GetInt64(1);
                    if (Describe(reader) is { } entry)
                    {
                        entries.Add(entry);
                    }
                }

                return (entries, rows == limit ? last : (long?)null);
            },
            cancellationToken,
            Text(queue), Number(after), Number(limit));

    public Task<QueuedEntry?> FindAsync(string queue, long id, CancellationToken cancellationToken) =>
        ReadFirstAsync(_statements.Find, Describe, cancellationToken, Text(queue), Number(id));

    public async Task<QueuedEntry?> FindLastAsync(string queue, string coalesceKey, CancellationToken cancellationToken)
    {
        // One that cannot be read is passed over.
        for (long? before = long.MaxValue; before is { } position;)
        {
            (var entry, before) = await ReadFirstAsync(
                _statements.FindLast,
                static reader => (Describe(reader), (long?)reader.GetInt64(1)),
                cancellationToken,
                Text(queue), Text(coalesceKey), Number(position)).ConfigureAwait(false);
            if (entry is not null)
            {
                return entry;
            }
        }

        return null;
    }

    /// <summary>An entry of a queue as it is stored.</summary>
    public Task<EntryRow?> FindRowAsync(string queue, long id, CancellationToken cancellationToken) =>
        ReadFirstAsync(_statements.FindRow, static reader => RequestColumns.Read(reader, 0), cancellationToken, Text(queue), Number(id));

    /// <summary>Whether somebody has leased an entry and has not settled it, though the time may be up.</summary>
    public Task<bool> IsLeasedAsync(long id, CancellationToken cancellationToken) =>
        ReadFirstAsync(_statements.IsLeased, static _ => true, cancellationToken, Number(id));

    /// <summary>A dead letter of a queue as it is stored.</summary>
    public Task<EntryRow?> FindDeadRowAsync(string queue, long id, CancellationToken cancellationToken) =>
        ReadFirstAsync(
            _statements.FindDeadRow, static reader => RequestColumns.Read(reader, 0), cancellationToken, Text(queue), Number(id));

    /// <summary>A chunk of a body.</summary>
    /// <returns><see langword="null"/> when it is missing or damaged.</returns>
    public Task<byte[]?> ReadChunkAsync(long bodyId, int number, CancellationToken cancellationToken) =>
        ReadFirstAsync(
            _statements.ReadChunk,
            reader => reader.GetFieldValue<byte[]>(1) is var bytes && ChunkedBody.Checksum(bytes, bodyId, number) == reader.GetInt64(0)
                ? bytes : null,
            cancellationToken,
            Number(bodyId), Number(number));

    public Task<IReadOnlyList<FailedAttempt>?> ReadHistoryAsync(string queue, long id, CancellationToken cancellationToken) =>
        ReadFirstAsync<IReadOnlyList<FailedAttempt>>(
            _statements.ReadHistory, static reader => EntryReport.ReadHistory(reader, 0), cancellationToken, Text(queue), Number(id));

    /// <summary>The next dead letters of a queue after an ordinal.</summary>
    /// <returns>The letters, and the ordinal to go on from; <see langword="null"/> at the end.</returns>
    public Task<(List<DeadLetter> Letters, long? Next)> ReadDeadLettersAsync(
        string queue, long after, CancellationToken cancellationToken) =>
        QueryAsync(
            _statements.ReadDeadLetters,
            async reader =>
            {
                var letters = new List<DeadLetter>();
                var last = after;
                while (await reader.ReadAsync(cancellationToken).ConfigureAwait(false))
                {
                    last = reader.GetInt64(0);
                    letters.Add(ReadLetter(reader, queue));
                }

                return (letters, letters.Count == DeadLetterPageRows ? last : (long?)null);
            },
            cancellationToken,
            Text(queue), Number(after), Number(DeadLetterPageRows));

    public Task<Receipt?> FindReceiptAsync(string queue, long id, CancellationToken cancellationToken) =>
        ReadFirstAsync(
            _statements.FindReceipt,
            reader => new Receipt
            {
                Id = id,
                Queue = queue,
                State = (ReceiptState)reader.GetInt32(0),
                At = UnixTime.ToTime(reader.GetInt64(1)),
                Cause = (DeadLetterCause?)NullableInt32(reader, 2),
                Error = reader.IsDBNull(3) ? null : reader.GetString(3),
                StatusCode = NullableInt32(reader, 4),
                Response = ResponseColumns.Read(reader, 5, NullableInt32(reader, 4)),
            },
            cancellationToken,
            Text(queue), Number(id));

    public Task<QueueCounts> CountAsync(string queue, CancellationToken cancellationToken) =>
        ReadFirstAsync(
            _statements.Count,
            static reader => new QueueCounts(reader.GetInt64(0), reader.GetInt64(1), reader.GetInt64(2), reader.GetInt64(3)),
            cancellationToken,
            Text(queue));

    public Task<bool> HasEntriesAsync(string queue, string lane, CancellationToken cancellationToken) =>
        ReadFirstAsync(_statements.HasEntries, static _ => true, cancellationToken, Text(queue), Text(lane));

    public Task<List<OriginSchedule>> ReadScheduleAsync(string queue, CancellationToken cancellationToken) =>
        QueryAsync(
            _statements.ReadSchedule,
            async reader =>
            {
                var schedule = new List<OriginSchedule>();
                while (await reader.ReadAsync(cancellationToken).ConfigureAwait(false))
                {
                    schedule.Add(new OriginSchedule(reader.GetString(0), UnixTime.ToTime(reader.GetInt64(1))));
                }

                return schedule;
            },
            cancellationToken,
            Text(queue));

    public Task<QueuePause?> FindPauseAsync(string queue, CancellationToken cancellationToken) =>
        ReadFirstAsync(
            _statements.FindPause,
            static reader => new QueuePause(
                (PauseCause)reader.GetInt32(0), reader.GetString(1), UnixTime.ToTime(reader.GetInt64(2))),
            cancellationToken,
            Text(queue));

    private static DeadLetter ReadLetter(NpgsqlDataReader reader, string queue)
    {
        var id = reader.GetInt64(1);
        var statusCode = NullableInt32(reader, 4);
        var lastError = reader.IsDBNull(7) ? null : reader.GetString(7);
        return new DeadLetter
        {
            Id = id,
            Queue = queue,
            Entry = RequestColumns.Decode(RequestColumns.Read(reader, 14), id, reader.GetInt32(6), lastError, 0, out _),
            Cause = (DeadLetterCause)reader.GetInt32(2),
            Error = reader.IsDBNull(3) ? null : reader.GetString(3),
            StatusCode = statusCode,
            Response = ResponseColumns.Read(reader, 8, statusCode),
            History = EntryReport.ReadHistory(reader, 11),
            DeadLetteredAt = UnixTime.ToTime(reader.GetInt64(5)),
        };
    }

    /// <summary>Reads id, position, attempts, last error, edits, wait, when it is due, whether it is leased, and the request.</summary>
    private static QueuedEntry? Describe(NpgsqlDataReader reader)
    {
        var lastError = reader.IsDBNull(3) ? null : reader.GetString(3);
        var entry = RequestColumns.Decode(
            RequestColumns.Read(reader, 8), reader.GetInt64(0), reader.GetInt32(2), lastError, reader.GetInt32(4), out _);

        // It waits behind another, or for its prerequisite.
        return entry is null || reader.IsDBNull(5) || reader.GetInt32(5) == 3
            ? entry
            : entry with { DueAt = UnixTime.ToTime(reader.GetInt64(6)), IsLeased = reader.GetBoolean(7) };
    }

    private static int? NullableInt32(NpgsqlDataReader reader, int column) => reader.IsDBNull(column) ? null : reader.GetInt32(column);

    private static NpgsqlParameter Text(string value) => new() { NpgsqlDbType = NpgsqlDbType.Text, Value = value };

    private static NpgsqlParameter<long> Number(long value) => new NpgsqlParameter<long> { TypedValue = value };

    private Task<T?> ReadFirstAsync<T>(
        string sql, Func<NpgsqlDataReader, T?> read, CancellationToken cancellationToken, params NpgsqlParameter[] parameters) =>
        QueryAsync(
            sql,
            async reader => await reader.ReadAsync(cancellationToken).ConfigureAwait(false) ? read(reader) : default,
            cancellationToken,
            parameters);

    private async Task<T> QueryAsync<T>(
        string sql, Func<NpgsqlDataReader, Task<T>> read, CancellationToken cancellationToken, params NpgsqlParameter[] parameters)
    {
        for (var breaks = 0; ;)
        {
            try
            {
                await using var connection = await connections.OpenAsync(cancellationToken).ConfigureAwait(false);
                await using var command = new NpgsqlCommand(sql, connection);
                foreach (var parameter in parameters)
                {
                    command.Parameters.Add(parameter.Clone());
                }

                await using var reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
                return await read(reader).ConfigureAwait(false);
            }
            catch (Exception exception) when (PostgreSqlFaults.IsBroken(exception) && breaks++ == 0)
            {
                // The server may have restarted since the connection was last used.
            }
            catch (Exception exception) when (exception is not OperationCanceledException)
            {
                throw connections.Describe(exception);
            }
        }
    }
}
