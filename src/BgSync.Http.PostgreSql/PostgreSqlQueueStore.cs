using System.Runtime.CompilerServices;
using BgSync.Http.Outcomes;
using BgSync.Http.Storage;
using BgSync.Http.Storage.Format;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace BgSync.Http.PostgreSql;

/// <summary>Keeps queues in a PostgreSQL database, for processes on many machines that share them.</summary>
/// <remarks>
/// <para>The schema is made by <c>bgsync postgres migrate</c> or <see cref="PostgreSqlMigrations"/>, never by the store. All times are by
/// the server's clock. Thread-safe; callers that write at the same time share a round trip and a commit.</para>
/// <para>The order of a lane is the order in which its entries were committed. Between lanes, the order of a queue is that in which
/// positions were taken, which may differ from that of the commits by as much as these last.</para>
/// <para>A cut connection is no proof that a process has died: the leases of one that dies end when their time is up, and what it has
/// written ahead is taken over when it was silent for <see cref="PostgreSqlStoreOptions.OwnerTimeout"/>.</para>
/// <para>A call during which the connection breaks is made once more on a new one. Where that fails too, the caller is told so, though
/// the entry may have been queued.</para>
/// </remarks>
internal sealed partial class PostgreSqlQueueStore : IQueueStore
{
    private static readonly OperationLocks _wide = new(AreWide: true);

    private readonly PostgreSqlConnections _connections;
    private readonly PostgreSqlReader _reader;
    private readonly PostgreSqlWriter _writer;
    private readonly OwnerRenewal _renewal;
    private readonly IdBlocks _ids;
    private readonly string _schema;
    private readonly long _ownerTimeout;
    private int _disposed;

    /// <summary>Creates the store; the database is looked at at the first call.</summary>
    /// <param name="dataSource">Where connections come from. It stays the caller's to dispose of, after the store.</param>
    /// <param name="options">How the store behaves.</param>
    /// <param name="timeProvider">By which the store tells others that it is alive; every time that is stored is the server's.</param>
    /// <param name="logger">Told what was found at the first call.</param>
    /// <exception cref="ArgumentException">The schema has no valid name.</exception>
    public PostgreSqlQueueStore(
        NpgsqlDataSource dataSource, PostgreSqlStoreOptions options, TimeProvider timeProvider, ILogger<PostgreSqlQueueStore> logger)
    {
        ArgumentNullException.ThrowIfNull(dataSource);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(timeProvider);
        ArgumentNullException.ThrowIfNull(logger);
        _connections = new PostgreSqlConnections(dataSource, options.Schema, logger);
        _schema = _connections.Schema;
        _reader = new PostgreSqlReader(_connections);
        _writer = new PostgreSqlWriter(_connections);
        _ids = new IdBlocks(_reader.TakeIdBlockAsync);
        _ownerTimeout = (long)options.OwnerTimeout.TotalMilliseconds;
        _renewal = new OwnerRenewal(timeProvider, options.OwnerTimeout / 3, () => RenewOwnerAsync(_ownerTimeout));
        if (!options.PollOnly)
        {
            var channel = new ChangeChannel(options.Schema, Owner.ToString("N"));
            _announcer = new PostgreSqlAnnouncer(dataSource, channel, timeProvider, logger);
            _listener = new PostgreSqlListener(dataSource, channel, timeProvider, new Random().NextDouble, logger);
            Changed += _announcer.Announce;
        }
    }

    /// <summary>Raised with a queue's name when there is something in it that others could send, once it is committed.</summary>
    internal event Action<string>? Changed;

    /// <summary>By whom leases and requests written ahead are owned.</summary>
    internal Guid Owner { get; } = Guid.NewGuid();

    /// <summary>How many transactions were committed: less than the operations when callers share them.</summary>
    internal long Commits => _writer.Commits;

    /// <inheritdoc/>
    public async ValueTask<IStoredBodyWriter> BeginBodyAsync(CancellationToken cancellationToken)
    {
        ThrowIfDisposed();
        _renewal.Begin();
        var id = await _ids.NextAsync(cancellationToken).ConfigureAwait(false);
        await DoAsync(Call("begin_body").Add((long?)id).Add(Owner).Add((long?)_ownerTimeout), cancellationToken).ConfigureAwait(false);
        return new PostgreSqlBodyWriter(_writer, _schema, id);
    }

    /// <inheritdoc/>
    public async ValueTask<AddedEntry> AddAsync(NewEntry entry, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(entry);
        ThrowIfDisposed();
        var row = await EncodeAsync(EntryRow.From(entry), entry.Body, cancellationToken).ConfigureAwait(false);
        var id = await _ids.NextAsync(cancellationToken).ConfigureAwait(false);
        var reports = await ReportAsync(
            Call("add", EntryReport.Columns)
                .Add((long?)id).Add(row).Add(entry.Body, row.BodyId).Add(entry.End == QueueEnd.Front)
                .Add((int?)entry.Attempts).Add(StoreText.Readable(entry.LastError)).Add(entry.LastStatusCode).Add(entry.HasFailedAttempt)
                .Add(Milliseconds(entry.Delay)).Add(entry.RequestedDelay).Add(entry.Limits),
            cancellationToken,
            new OperationLocks(entry.Limits is null ? null : entry.Queue, (entry.Queue, StoreText.KeyOf(entry.Lane))),
            (int)Math.Min(row.BodyLength, int.MaxValue)).ConfigureAwait(false);
        return Added(reports, entry.Limits);
    }

    /// <inheritdoc/>
    public async ValueTask<long> BeginWriteAheadAsync(NewEntry entry, bool isRepeatable, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(entry);
        ThrowIfDisposed();
        _renewal.Begin();
        var row = await EncodeAsync(EntryRow.From(entry), entry.Body, cancellationToken).ConfigureAwait(false);
        var id = await _ids.NextAsync(cancellationToken).ConfigureAwait(false);
        await DoAsync(
            Call("hold")
                .Add((long?)id).Add(Owner).Add((long?)_ownerTimeout).Add(isRepeatable).Add(row).Add(entry.Body, row.BodyId)
                .Add(entry.End == QueueEnd.Front).Add(Milliseconds(entry.Delay)).Add(entry.RequestedDelay),
            cancellationToken).ConfigureAwait(false);
        return id;
    }

    /// <inheritdoc/>
    public async ValueTask<AddedEntry?> CommitWriteAheadAsync(
        long writeAheadId, WriteAheadCommit commit, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(commit);
        ThrowIfDisposed();
        var id = await _ids.NextAsync(cancellationToken).ConfigureAwait(false);
        var reports = await ReportAsync(
            Call("release", EntryReport.Columns)
                .Add((long?)writeAheadId).Add(Owner).Add((long?)id)
                .Add((int?)commit.Attempts).Add(StoreText.Readable(commit.LastError)).Add(commit.LastStatusCode)
                .Add(commit.HasFailedAttempt).Add(Milliseconds(commit.Delay)).Add(commit.RequestedDelay).Add(commit.Limits),
            cancellationToken,
            new OperationLocks(Id: writeAheadId)).ConfigureAwait(false);
        return reports is [] ? null : Added(reports, commit.Limits);
    }

    /// <inheritdoc/>
    public ValueTask<bool> DiscardWriteAheadAsync(long writeAheadId, CancellationToken cancellationToken) =>
        AskAsync(Call("drop_held").Add((long?)writeAheadId).Add(Owner), cancellationToken);

    /// <inheritdoc/>
    public async ValueTask<IReadOnlyList<OriginSchedule>> GetScheduleAsync(string queue, CancellationToken cancellationToken)
    {
        ThrowIfDisposed();
        return await _reader.ReadScheduleAsync(queue, cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async ValueTask<IReadOnlyList<LeasedEntry>> LeaseAsync(
        string queue, string origin, int limit, TimeSpan duration, CancellationToken cancellationToken)
    {
        var reports = await ReportAsync(
            Call("lease", EntryReport.Columns)
                .Add(Owner).Add(queue).Add(origin).Add((int?)limit).Add(Milliseconds(duration)),
            cancellationToken).ConfigureAwait(false);
        return reports.ConvertAll(static report => report.ToLease());
    }

    /// <inheritdoc/>
    public async ValueTask<LeasedEntry?> LeaseLaneAsync(string queue, string lane, TimeSpan duration, CancellationToken cancellationToken)
    {
        var reports = await ReportAsync(
            Call("lease_lane", EntryReport.Columns)
                .Add(Owner).Add(queue).Add(StoreText.KeyOf(lane)).Add(Milliseconds(duration)),
            cancellationToken,
            new OperationLocks(Lane: (queue, StoreText.KeyOf(lane)))).ConfigureAwait(false);
        return reports is [var report] ? report.ToLease() : null;
    }

    /// <inheritdoc/>
    public async ValueTask<bool> HasEntriesAsync(string queue, string lane, CancellationToken cancellationToken)
    {
        ThrowIfDisposed();
        return await _reader.HasEntriesAsync(queue, StoreText.KeyOf(lane), cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public ValueTask<bool> RenewAsync(Lease lease, TimeSpan duration, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(lease);
        return AskAsync(
            Call("renew").Add(Owner).Add(lease.Token).Add(Milliseconds(duration)),
            cancellationToken,
            new OperationLocks(LeaseToken: lease.Token));
    }

    /// <inheritdoc/>
    public ValueTask<bool> SettleAsync(IReadOnlyList<DeliveredEntry> delivered, Lease? rest, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(delivered);
        return SettleAsync(
            delivered[0].Lease, Call("complete").Add(Owner).Add(delivered).Add(rest?.EntryId), cancellationToken, Bytes(delivered));
    }

    /// <inheritdoc/>
    public async ValueTask<Completion> SettleAsync(
        IReadOnlyList<DeliveredEntry> delivered, NextLease wanted, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(delivered);
        ArgumentNullException.ThrowIfNull(wanted);
        var next = new List<LeasedEntry>();
        var isDone = await SettleAsync(
            delivered[0].Lease,
            Call("complete_and_lease_next", EntryReport.Columns).Add(Owner).Add(delivered)
                .Add(Guid.NewGuid()).Add(wanted.Origin).Add((int?)wanted.Limit).Add((long?)wanted.Bytes).Add(Milliseconds(wanted.Duration)),
            async reader =>
            {
                next.Clear();
                var hasReport = false;
                for (; await reader.ReadAsync().ConfigureAwait(false); hasReport = true)
                {
                    var report = EntryReport.Read(reader);
                    if (report.Kind == EntryReportKind.Leased)
                    {
                        next.Add(report.ToLease());
                    }
                }

                return hasReport;
            },
            Bytes(delivered),
            cancellationToken).ConfigureAwait(false);
        return new Completion(isDone, next);
    }

    /// <inheritdoc/>
    public ValueTask<bool> SettleAsync(Lease lease, Settlement settlement, CancellationToken cancellationToken) =>
        settlement is Settlement.DeadLettered deadLettered
            ? DeadLetterAsync(lease, deadLettered, cancellationToken)
            : RescheduleAsync(lease, settlement.AsRetry(), cancellationToken);

    private ValueTask<bool> RescheduleAsync(Lease lease, Settlement.Retry retry, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(lease);
        ArgumentNullException.ThrowIfNull(retry);
        return SettleAsync(
            lease,
            Call("reschedule").Add(Owner).Add((long?)lease.EntryId).Add(lease.Token)
                .Add(Milliseconds(retry.Delay)).Add(retry.RequestedDelay).Add(retry.CountsAsAttempt)
                .Add(StoreText.Readable(retry.Error)).Add(retry.StatusCode).Add(retry.IsFailedAttempt).Add(retry.LeavesLane),
            cancellationToken);
    }

    /// <inheritdoc/>
    private ValueTask<bool> DeadLetterAsync(Lease lease, Settlement.DeadLettered deadLettered, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(lease);
        ArgumentNullException.ThrowIfNull(deadLettered);
        return SettleAsync(
            lease,
            Call("bury").Add(Owner).Add((long?)lease.EntryId).Add(lease.Token)
                .Add((int?)deadLettered.Cause).Add(StoreText.Readable(deadLettered.Error)).Add(
                    deadLettered.Response, deadLettered.StatusCode)
                .Add(deadLettered.IsKept).Add(deadLettered.IsOfAttempt),
            cancellationToken);
    }

    /// <inheritdoc/>
    public async ValueTask<IReadOnlyList<DeadLetter>> ExpireAsync(
        string queue, int limit, bool keep, CancellationToken cancellationToken)
    {
        var reports = await ReportAsync(
            Call("expire", EntryReport.Columns).Add(queue).Add((int?)limit).Add(keep), cancellationToken, _wide).ConfigureAwait(false);
        return reports.ConvertAll(static report => report.ToLetter());
    }

    /// <inheritdoc/>
    public async ValueTask<int> ClearBackoffAsync(string queue, bool onlyEndless, CancellationToken cancellationToken)
    {
        var cleared = await ValueAsync(
            Call("clear_backoff").Add(queue).Add(onlyEndless), static reader => reader.GetInt32(0), cancellationToken, _wide)
            .ConfigureAwait(false);
        if (cleared > 0)
        {
            Changed?.Invoke(queue);
        }

        return cleared;
    }

    /// <inheritdoc/>
    public async ValueTask<ReclaimedWork> ReclaimAsync(CancellationToken cancellationToken)
    {
        var reports = await ReportAsync(
            Call("reclaim", EntryReport.Columns).Add(Owner).Add(ReclaimedWork.Interrupted), cancellationToken, _wide).ConfigureAwait(false);
        return reports is [] ? ReclaimedWork.None : new ReclaimedWork(
            0,
            [.. reports.Where(static report => report.Kind == EntryReportKind.Added)
                .Select(static report => report.Decode()).OfType<QueuedEntry>()],
            [.. reports.Where(static report => report.Kind == EntryReportKind.Died)
                .Select(static report => report.ToLetter(ReclaimedWork.Interrupted))]);
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<QueuedEntry> ReadAsync(
        string queue, QueueEnd from, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ThrowIfDisposed();

        // A caller that takes one entry reads few; one that reads all soon reads many at once.
        var rows = 4;
        for (long? after = from == QueueEnd.Front ? long.MinValue : long.MaxValue; after is { } position;)
        {
            (var entries, after) = await _reader.ReadPageAsync(queue, from, position, rows, cancellationToken).ConfigureAwait(false);
            foreach (var entry in entries)
            {
                yield return entry;
            }

            rows = Math.Min(rows * 4, PostgreSqlReader.PageRows);
        }
    }

    /// <inheritdoc/>
    public async ValueTask<QueuedEntry?> FindAsync(string queue, long id, CancellationToken cancellationToken)
    {
        ThrowIfDisposed();
        return await _reader.FindAsync(queue, id, cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async ValueTask<QueuedEntry?> FindLastAsync(string queue, string coalesceKey, CancellationToken cancellationToken)
    {
        ThrowIfDisposed();
        return await _reader.FindLastAsync(queue, StoreText.KeyOf(coalesceKey), cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async ValueTask<IReadOnlyList<FailedAttempt>> GetHistoryAsync(string queue, long id, CancellationToken cancellationToken)
    {
        ThrowIfDisposed();
        return await _reader.ReadHistoryAsync(queue, id, cancellationToken).ConfigureAwait(false) ?? [];
    }

    /// <inheritdoc/>
    public ValueTask<EntryChange> RemoveAsync(string queue, long id, long? revision, CancellationToken cancellationToken) =>
        ValueAsync(
            Call("remove").Add(queue).Add((long?)id).Add(revision),
            static reader => (EntryChange)reader.GetInt32(0),
            cancellationToken,
            new OperationLocks(Id: id));

    /// <inheritdoc/>
    public async ValueTask<EntryChange> ReplaceAsync(
        QueuedEntry edited, EntryBody? body, TimeSpan delay, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(edited);
        ThrowIfDisposed();

        // Fields that were not edited are taken from the present row: should they change meanwhile, so does the revision.
        if (await _reader.FindRowAsync(edited.Queue, edited.Id, cancellationToken).ConfigureAwait(false) is not { } before)
        {
            return EntryChange.NotFound;
        }

        var after = before.With(edited, body);
        var row = body is { } given
            ? await EncodeAsync(after, given, cancellationToken).ConfigureAwait(false)
            : RequestColumns.Sealed(after, before.BodyId);
        return await ValueAsync(
            Call("replace")
                .Add((long?)edited.Id).Add((long?)edited.Revision).Add(row).Add(body is not null).Add(body ?? default, row.BodyId)
                .Add((int?)edited.Attempts).Add(StoreText.Readable(edited.LastError)).Add(Milliseconds(delay)),
            static reader => (EntryChange)reader.GetInt32(0),
            cancellationToken,
            new OperationLocks(Lane: (edited.Queue, StoreText.KeyOf(edited.Lane)), Id: edited.Id)).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public ValueTask<int> ClearAsync(string queue, int limit, CancellationToken cancellationToken) =>
        ValueAsync(Call("clear").Add(queue).Add((int?)limit), static reader => reader.GetInt32(0), cancellationToken, _wide);

    /// <inheritdoc/>
    public async IAsyncEnumerable<DeadLetter> ReadDeadLettersAsync(
        string queue, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ThrowIfDisposed();
        for (long? after = 0; after is { } ordinal;)
        {
            (var letters, after) = await _reader.ReadDeadLettersAsync(queue, ordinal, cancellationToken).ConfigureAwait(false);
            foreach (var letter in letters)
            {
                yield return letter;
            }
        }
    }

    /// <inheritdoc/>
    public async ValueTask<Stream?> OpenBodyAsync(string queue, long id, CancellationToken cancellationToken)
    {
        ThrowIfDisposed();
        var row = await _reader.FindRowAsync(queue, id, cancellationToken).ConfigureAwait(false)
            ?? await _reader.FindDeadRowAsync(queue, id, cancellationToken).ConfigureAwait(false);
        return row switch
        {
            null => null,
            _ when !RequestColumns.IsWhole(row) => new DamagedBodyStream(),
            { BodyId: { } bodyId } => new ChunkedBodyStream(
                bodyId, row.BodyLength, (number, cancellation) => _reader.ReadChunkAsync(bodyId, number, cancellation)),
            _ => Stream.Null,
        };
    }

    /// <inheritdoc/>
    public async ValueTask<QueueCounts> CountAsync(string queue, CancellationToken cancellationToken)
    {
        ThrowIfDisposed();
        return await _reader.CountAsync(queue, cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async ValueTask<bool> RequeueAsync(string queue, long id, DateTimeOffset expiresAt, CancellationToken cancellationToken)
    {
        ThrowIfDisposed();
        if (await _reader.FindDeadRowAsync(queue, id, cancellationToken).ConfigureAwait(false) is not { } dead
            || RequestColumns.Decode(dead, id, 0, null, 0, out _) is null)
        {
            return false;
        }

        var row = RequestColumns.Sealed(dead with { ExpiresAt = UnixTime.Of(expiresAt), CoalesceKey = null });
        var isBack = await AskAsync(
            Call("requeue")
                .Add(queue).Add((long?)id).Add((long?)row.ExpiresAt).Add((long?)dead.Checksum).Add((long?)row.Checksum),
            cancellationToken,
            new OperationLocks(Lane: (queue, StoreText.KeyOf(row.Lane!)))).ConfigureAwait(false);
        if (isBack)
        {
            Changed?.Invoke(queue);
        }

        return isBack;
    }

    /// <inheritdoc/>
    public ValueTask<bool> DeleteDeadLetterAsync(string queue, long id, CancellationToken cancellationToken) =>
        AskAsync(Call("delete_dead_letter").Add(queue).Add((long?)id), cancellationToken);

    /// <inheritdoc/>
    public async ValueTask<IReadOnlyList<long>> TrimDeadLettersAsync(
        string queue, DateTimeOffset diedBefore, long? keep, int limit, CancellationToken cancellationToken) =>
        await RowsAsync(
            Call("trim_dead_letters").Add(queue).Add((long?)UnixTime.Of(diedBefore)).Add(keep).Add((int?)limit),
            static reader => reader.GetInt64(0),
            cancellationToken: cancellationToken).ConfigureAwait(false);

    /// <inheritdoc/>
    public async ValueTask<Receipt?> GetReceiptAsync(string queue, long id, CancellationToken cancellationToken)
    {
        ThrowIfDisposed();
        return await _reader.FindReceiptAsync(queue, id, cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public ValueTask<int> ForgetReceiptsAsync(string queue, DateTimeOffset before, int limit, CancellationToken cancellationToken) =>
        ValueAsync(
            Call("forget_receipts").Add(queue).Add((long?)UnixTime.Of(before)).Add((int?)limit),
            static reader => reader.GetInt32(0),
            cancellationToken);

    /// <inheritdoc/>
    public async ValueTask<QueuePause?> GetPauseAsync(string queue, CancellationToken cancellationToken)
    {
        ThrowIfDisposed();
        return await _reader.FindPauseAsync(queue, cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async ValueTask SetPauseAsync(string queue, QueuePause? pause, CancellationToken cancellationToken)
    {
        await DoAsync(
            Call("set_pause").Add(queue).Add((int?)pause?.Cause).Add(StoreText.Readable(pause?.Reason))
                .Add(pause is null ? null : (long?)UnixTime.Of(pause.Since)),
            cancellationToken).ConfigureAwait(false);
        if (pause is null)
        {
            Changed?.Invoke(queue);
        }
    }

    /// <summary>
    /// Waits for what is under way, and has others take over at once what the store still holds. The data source stays open.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        var mayHold = _renewal.IsRunning;
        _renewal.Dispose();
        if (mayHold)
        {
            try
            {
                await RenewOwnerAsync(0).ConfigureAwait(false);
            }
            catch (QueueStoreException)
            {
                // They take it over when its time is up.
            }
        }

        await _writer.DisposeAsync().ConfigureAwait(false);
        // After the last change: it is told too.
        await EndSignalsAsync().ConfigureAwait(false);
        _ids.Dispose();
    }

    private static long? Milliseconds(TimeSpan delay) => UnixTime.After(0, delay);

    private FunctionCall Call(string function, string columns = "*") => new(_schema, function, columns);

    private void ThrowIfDisposed() => ObjectDisposedException.ThrowIf(_disposed != 0, this);

    /// <summary>Gives a body that comes along an id, which the checksum includes.</summary>
    private async ValueTask<EntryRow> EncodeAsync(EntryRow row, EntryBody body, CancellationToken cancellationToken)
    {
        var bodyId = body.StoredId is null && body.Length > 0
            ? await _ids.NextAsync(cancellationToken).ConfigureAwait(false)
            : body.StoredId;
        return RequestColumns.Sealed(row, bodyId);
    }

    private AddedEntry Added(List<EntryReport> reports, QueueLimits? limits)
    {
        var last = reports[^1];
        if (last.Kind == EntryReportKind.Refused)
        {
            throw limits!.Refuse(last.Queue, last.At, last.Excess);
        }

        Changed?.Invoke(last.Queue);
        return new AddedEntry(last.Id, [.. reports[..^1].Select(static report => report.ToLetter())]);
    }

    private Task<bool> RenewOwnerAsync(long timeout) =>
        _writer.RunAsync(
            Call("renew_owner").Add(Owner).Add((long?)timeout),
            static async reader => await reader.ReadAsync().ConfigureAwait(false) && reader.GetBoolean(0),
            CancellationToken.None);

    private static int Bytes(IReadOnlyList<DeliveredEntry> delivered) =>
        delivered.Sum(static one => one.Delivery?.Response?.Body.Length ?? 0);

    private ValueTask<bool> SettleAsync(Lease lease, FunctionCall call, CancellationToken cancellationToken, int bytes = 0) => SettleAsync(
        lease,
        call,
        static async reader => await reader.ReadAsync().ConfigureAwait(false) && reader.GetBoolean(0),
        bytes,
        cancellationToken);

    /// <summary>Runs what ends a lease. One that may have run before did so, if nobody holds a lease on the entry any more.</summary>
    private async ValueTask<bool> SettleAsync(
        Lease lease, FunctionCall call, Func<NpgsqlDataReader, Task<bool>> read, int bytes, CancellationToken cancellationToken)
    {
        ThrowIfDisposed();
        var operation = new AwaitedOperation<bool>(read, cancellationToken)
        {
            Command = call.Build(),
            Locks = new OperationLocks(LeaseToken: lease.Token),
            Bytes = bytes,
        };
        return await _writer.RunAsync(operation).ConfigureAwait(false)
            || operation.MayHaveRun && !await _reader.IsLeasedAsync(lease.EntryId, cancellationToken).ConfigureAwait(false);
    }

    private Task<bool> DoAsync(FunctionCall call, CancellationToken cancellationToken)
    {
        ThrowIfDisposed();
        return _writer.RunAsync(call, static _ => Task.FromResult(true), cancellationToken);
    }

    private ValueTask<bool> AskAsync(FunctionCall call, CancellationToken cancellationToken, OperationLocks locks = default) =>
        ValueAsync(call, static reader => reader.GetBoolean(0), cancellationToken, locks);

    private async ValueTask<T> ValueAsync<T>(
        FunctionCall call, Func<NpgsqlDataReader, T> read, CancellationToken cancellationToken, OperationLocks locks = default)
    {
        ThrowIfDisposed();
        return await _writer.RunAsync(
            call,
            async reader => await reader.ReadAsync().ConfigureAwait(false)
                ? read(reader) : throw new InvalidOperationException("A function of the schema returned nothing."),
            cancellationToken,
            locks).ConfigureAwait(false);
    }

    private async ValueTask<List<EntryReport>> ReportAsync(
        FunctionCall call, CancellationToken cancellationToken, OperationLocks locks = default, int bytes = 0) =>
        await RowsAsync(call, EntryReport.Read, locks, bytes, cancellationToken).ConfigureAwait(false);

    private Task<List<T>> RowsAsync<T>(
        FunctionCall call,
        Func<NpgsqlDataReader, T> read,
        OperationLocks locks = default,
        int bytes = 0,
        CancellationToken cancellationToken = default)
    {
        ThrowIfDisposed();
        return _writer.RunAsync(
            call,
            async reader =>
            {
                var rows = new List<T>();
                while (await reader.ReadAsync().ConfigureAwait(false))
                {
                    rows.Add(read(reader));
                }

                return rows;
            },
            cancellationToken,
            locks,
            bytes);
    }
}
