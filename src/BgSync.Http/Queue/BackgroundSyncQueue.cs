using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using BgSync.Http.Capture;
using BgSync.Http.Events;
using BgSync.Http.Storage;

namespace BgSync.Http.Queue;

/// <summary>A named queue: the handler puts requests in, and the application sees and changes it by hand.</summary>
internal sealed partial class BackgroundSyncQueue(
    QueueContext context,
    EntryWriter writer,
    IQueueReplayer replayer,
    EntryEventFeed feed,
    EntryWaiters waiters) : IBackgroundSyncQueue
{
    /// <summary>Entries removed at a time, so that other writes get their turn.</summary>
    private const int Batch = 100;

    private readonly QueuedRequests _taken = new(context.Name, context.Options.IdempotencyKeyHeader, context.Time);

    public string Name => context.Name;

    /// <summary>Writes requests down before they are sent.</summary>
    public WriteAhead Ahead { get; } = new(context, writer);

    private IQueueStore Store => context.Store;

    private EntryEvents Events => context.Events;

    public ValueTask<long> PushAsync(
        HttpRequestMessage request, DateTimeOffset? timestamp = null, CancellationToken cancellationToken = default) =>
        AddAsync(request, QueueEnd.Back, timestamp, cancellationToken);

    public ValueTask<long> UnshiftAsync(
        HttpRequestMessage request, DateTimeOffset? timestamp = null, CancellationToken cancellationToken = default) =>
        AddAsync(request, QueueEnd.Front, timestamp, cancellationToken);

    public ValueTask<TakenEntry?> PopAsync(CancellationToken cancellationToken = default) => TakeAsync(QueueEnd.Back, cancellationToken);

    public ValueTask<TakenEntry?> ShiftAsync(CancellationToken cancellationToken = default) => TakeAsync(QueueEnd.Front, cancellationToken);

    public async ValueTask<QueuedEntry?> FindAsync(long id, CancellationToken cancellationToken = default) =>
        await Store.FindAsync(Name, id, cancellationToken).ConfigureAwait(false) is { } entry ? Describe(entry) : null;

    public ValueTask<Receipt?> GetReceiptAsync(long id, CancellationToken cancellationToken = default) =>
        Store.GetReceiptAsync(Name, id, cancellationToken);

    public ValueTask<Stream?> OpenBodyAsync(long id, CancellationToken cancellationToken = default) =>
        Store.OpenBodyAsync(Name, id, cancellationToken);

    public ValueTask<IReadOnlyList<FailedAttempt>> GetHistoryAsync(long id, CancellationToken cancellationToken = default) =>
        Store.GetHistoryAsync(Name, id, cancellationToken);

    public async ValueTask<bool> RemoveAsync(long id, CancellationToken cancellationToken = default)
    {
        var isRemoved = IsDone(id, await Store.RemoveAsync(Name, id, revision: null, cancellationToken).ConfigureAwait(false));
        if (isRemoved)
        {
            Events.Removed(Name, id);
            replayer.Wake();
        }

        return isRemoved;
    }

    public async ValueTask<bool> EditAsync(long id, Action<EntryEdit> edit, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(edit);
        EntryChange change;
        bool hasNewKey;
        do
        {
            if (await Store.FindAsync(Name, id, cancellationToken).ConfigureAwait(false) is not { } entry)
            {
                return false;
            }

            (change, hasNewKey) = entry.IsLeased
                ? (EntryChange.InFlight, false)
                : await ReplaceAsync(entry, edit, cancellationToken).ConfigureAwait(false);
        }
        while (change == EntryChange.Outdated);
        var isEdited = IsDone(id, change);
        if (isEdited)
        {
            Events.Edited(Name, id, hasNewKey);
            replayer.Wake();
        }

        return isEdited;
    }

    public async ValueTask<long> ClearAsync(CancellationToken cancellationToken = default)
    {
        // As many as there are now: what is queued meanwhile is not waited for.
        var left = (await Store.CountAsync(Name, cancellationToken).ConfigureAwait(false)).Pending;
        var removed = 0L;
        int batch;
        do
        {
            batch = await Store.ClearAsync(Name, (int)Math.Min(Batch, left - removed), cancellationToken).ConfigureAwait(false);
            removed += batch;
        }
        while (batch > 0 && removed < left);
        if (removed > 0)
        {
            Events.Cleared(Name, removed);
            replayer.Wake();
        }

        return removed;
    }

    public IAsyncEnumerable<QueuedEntry> GetAllAsync(EntryFilter filter, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(filter);
        return GetAllAsync(cancellationToken).Where(entry => filter.IsMatch(entry, context.Time.GetUtcNow()));
    }

    public async IAsyncEnumerable<QueuedEntry> GetAllAsync([EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        await foreach (var entry in Store.ReadAsync(Name, QueueEnd.Front, cancellationToken).ConfigureAwait(false))
        {
            yield return Describe(entry);
        }
    }

    public ValueTask<QueueCounts> CountAsync(CancellationToken cancellationToken = default) => Store.CountAsync(Name, cancellationToken);

    public async IAsyncEnumerable<QueueUpdate> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        using var mailbox = feed.Open(entryEvent => entryEvent.Queue == Name);
        List<EntryEvent> happened = [];
        do
        {
            while (mailbox.TryTake(out var entryEvent))
            {
                happened.Add(entryEvent);
            }

            var missed = mailbox.TakeMissed();
            // Counted after the events were taken, so that no event is newer than its counts.
            if (await CountWhileOpenAsync(mailbox, cancellationToken).ConfigureAwait(false) is not { } counts)
            {
                yield break;
            }

            yield return new(counts, happened, missed);
            happened = [];
        }
        while (await mailbox.WaitAsync(cancellationToken).ConfigureAwait(false));
    }

    public Task<ReplaySummary> ReplayAsync(TimeSpan deadline, CancellationToken cancellationToken = default) =>
        replayer.ReplayAsync(deadline, cancellationToken);

    public ValueTask<QueuePause?> GetPauseAsync(CancellationToken cancellationToken = default) =>
        Store.GetPauseAsync(Name, cancellationToken);

    public async ValueTask PauseAsync(string reason, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(reason);
        var pause = new QueuePause(PauseCause.Application, reason, context.Time.GetUtcNow());
        await Store.SetPauseAsync(Name, pause, cancellationToken).ConfigureAwait(false);
        Events.Paused(Name, pause);
        replayer.Wake();
    }

    public async ValueTask ResumeAsync(CancellationToken cancellationToken = default)
    {
        await Store.SetPauseAsync(Name, null, cancellationToken).ConfigureAwait(false);
        Events.Resumed(Name);
        replayer.Wake();
    }

    public IAsyncEnumerable<DeadLetter> GetDeadLettersAsync(CancellationToken cancellationToken = default) =>
        Store.ReadDeadLettersAsync(Name, cancellationToken);

    public async ValueTask<bool> RequeueAsync(long id, CancellationToken cancellationToken = default)
    {
        var requeued = await Store.RequeueAsync(Name, id, context.ExpiryFrom(context.Time.GetUtcNow()), cancellationToken)
            .ConfigureAwait(false);
        if (requeued)
        {
            Events.Requeued(Name, id);
            replayer.WakeForNew();
        }

        return requeued;
    }

    public async ValueTask<long> RequeueAllAsync(CancellationToken cancellationToken = default)
    {
        // As many as there are now: one that dies again meanwhile stays dead.
        var dead = (await Store.CountAsync(Name, cancellationToken).ConfigureAwait(false)).DeadLettered;
        var requeued = 0L;
        await foreach (var letter in GetDeadLettersAsync(cancellationToken).ConfigureAwait(false))
        {
            if (dead-- == 0)
            {
                break;
            }

            requeued += await RequeueAsync(letter.Id, cancellationToken).ConfigureAwait(false) ? 1 : 0;
        }

        return requeued;
    }

    public async ValueTask<bool> DeleteDeadLetterAsync(long id, CancellationToken cancellationToken = default)
    {
        var deleted = await Store.DeleteDeadLetterAsync(Name, id, cancellationToken).ConfigureAwait(false);
        if (deleted)
        {
            Events.Deleted(Name, id);
        }

        return deleted;
    }

    private async ValueTask<long> AddAsync(
        HttpRequestMessage request, QueueEnd end, DateTimeOffset? timestamp, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        RequestAddress.Require(request);
        var captured = WatchedRequest.Of(request, context, timestamp ?? context.Time.GetUtcNow()) with { MayHoldFormSecrets = true };
        var adding = writer.EnqueueAsync(captured, end, failure: null, cancellationToken);
        var added = await ByHandAsync(adding, cancellationToken).ConfigureAwait(false);
        request.SetBackgroundSyncEntryId(added.EntryId);
        replayer.WakeForNew();
        return added.EntryId;
    }

    private async ValueTask<QueueCounts?> CountWhileOpenAsync(EntryMailbox mailbox, CancellationToken cancellationToken)
    {
        try
        {
            return await Store.CountAsync(Name, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception) when (mailbox.IsClosed)
        {
            return null;
        }
    }

    /// <returns>Whether the change was made, and whether the entry has a new idempotency key with it.</returns>
    private async Task<(EntryChange Change, bool HasNewKey)> ReplaceAsync(
        QueuedEntry entry, Action<EntryEdit> edit, CancellationToken cancellationToken)
    {
        var content = context.ContentOf(entry);
        var editing = new EntryEdit(entry, RequestRestorer.Restore(entry.Request, content));
        var key = context.KeyOf(editing.Request);
        edit(editing);
        RequestAddress.Require(editing.Request);
        if (editing.Prerequisite != entry.Prerequisite)
        {
            await context.RequirePrerequisiteAsync(editing.Prerequisite, cancellationToken).ConfigureAwait(false);
        }

        // A server that has seen the old request under its key would refuse another one, or answer for the old one.
        var isOtherRequest = editing.Request.Method != entry.Request.Method || editing.Request.RequestUri != entry.Request.Uri
            || editing.Request.Content != content;
        var hasNewKey = entry.Attempts > 0 && isOtherRequest && key is not null && context.KeyOf(editing.Request) == key;
        if (hasNewKey)
        {
            IdempotencyKey.Replace(
                editing.Request, context.Options.IdempotencyKeyHeader!, context.Options.IdempotencyKeyFormat, context.Time);
        }

        var edited = entry with
        {
            Lane = editing.Lane,
            Prerequisite = editing.Prerequisite,
            Request = new RequestCapture(editing.Request, context.Options.Capture.SecretHeaders).ToSnapshot(),
        };
        var change = editing.Request.Content == content
            ? await Store.ReplaceAsync(edited, body: null, TimeSpan.Zero, cancellationToken).ConfigureAwait(false)
            : await ByHandAsync(
                writer.ReplaceAsync(
                    edited, editing.Request.Content, () => Events.Edited(Name, entry.Id, hasNewKey), cancellationToken),
                cancellationToken).ConfigureAwait(false);
        return (change, hasNewKey);
    }

    /// <summary>An entry with the waits that only this process knows.</summary>
    private QueuedEntry Describe(QueuedEntry entry)
    {
        var openUntil = replayer.OpenUntil(entry.Request.Origin);
        return entry.DueAt < openUntil && !entry.IsLeased ? entry with { DueAt = openUntil } : entry;
    }

    private bool IsDone(long id, EntryChange change) => change switch
    {
        EntryChange.Done => true,
        EntryChange.InFlight => throw new EntryInFlightException(Name, id),
        _ => false,
    };

    /// <summary>Throws what a change by hand throws, where the handler would give a reason.</summary>
    private async Task<T> ByHandAsync<T>(Task<T> change, CancellationToken cancellationToken)
    {
        try
        {
            return await change.ConfigureAwait(false);
        }
        catch (CallbackException e)
        {
            ExceptionDispatchInfo.Throw(e.InnerException!);
            throw;
        }
        catch (NotStorableException e)
        {
            throw new InvalidOperationException($"The request was not queued, because {e.Message}.", e);
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw new TimeoutException(
                $"The body or the store made no progress for {context.Options.EnqueueTimeout} (EnqueueTimeout).", e);
        }
    }
}
