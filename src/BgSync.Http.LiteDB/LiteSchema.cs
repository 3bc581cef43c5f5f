using BgSync.Http.LiteDB.Collections;
using BgSync.Http.LiteDB.Files;
using BgSync.Http.Storage;
using BgSync.Http.Storage.Format;

namespace BgSync.Http.LiteDB;

/// <summary>
/// The collections of the store beside those of the queues, whose names no queue's collection can have (see
/// <see cref="CollectionName"/>).
/// </summary>
/// <remarks>
/// <para>An entry changes only by hand; what changes with every attempt is the document of its lane, which carries the head, and that of
/// its queue, which carries the counts. So no operation costs more for a longer queue.</para>
/// <para>Entries and dead letters name their queue and lane in full, so that they can be recovered without the other collections.</para>
/// </remarks>
internal sealed class LiteSchema(Guid owner, TimeProvider timeProvider) : ILiteSchema
{
    /// <summary>The count of ids.</summary>
    public const string Store = "bgsync$store";

    public const string Queues = "bgsync$queues";

    public const string Lanes = "bgsync$lanes";

    public const string Leases = "bgsync$leases";

    public const string DeadLetters = "bgsync$deadletters";

    public const string Receipts = "bgsync$receipts";

    public const string Attempts = "bgsync$attempts";

    public const string WriteAheads = "bgsync$held";

    public const string Bodies = "bgsync$bodies";

    public const string Chunks = "bgsync$chunks";

    private ReclaimedWork _reclaimed = ReclaimedWork.None;

    /// <inheritdoc/>
    public byte Version => 1;

    /// <summary>The indexes beside those of the queues.</summary>
    public static IReadOnlyList<(string Collection, LiteIndex Index)> Indexes { get; } =
    [
        (Lanes, LaneCollection.Due),
        (Lanes, LaneCollection.Backoff),
        (DeadLetters, DeadLetterCollection.Order),
        (Receipts, ReceiptCollection.Age),
    ];

    private long Now => UnixTime.Of(timeProvider.GetUtcNow());

    /// <inheritdoc/>
    public void Prepare(LiteSession session, byte version)
    {
        session.Owner = owner;
        Make(session);

        // Kept as it is where there is nothing new: nobody may have asked for it yet.
        if (Reclaim(session) is { } work && work.Leases + work.Entries.Count + work.DeadLetters.Count > 0)
        {
            _reclaimed = work;
        }
    }

    /// <summary>The work that was taken over when the file was opened, once.</summary>
    public ReclaimedWork TakeReclaimed() => Interlocked.Exchange(ref _reclaimed, ReclaimedWork.None);

    /// <inheritdoc/>
    public (int Entries, int DeadLetters) Restore(LiteSession session, IEnumerable<SalvagedDocument> documents, byte version)
    {
        session.Begin();
        Make(session);
        session.Commit();
        return new LiteRestore(session, Now).Run(documents);
    }

    private ReclaimedWork Reclaim(LiteSession session)
    {
        BodyCollection.Disown(session);
        return WriteAheadCollection.Reclaim(session, Now) with { Leases = LeaseCollection.Void(session, owner, Now) };
    }

    private static void Make(LiteSession session)
    {
        foreach (var (collection, index) in Indexes)
        {
            session.EnsureIndex(collection, index);
        }

        foreach (var collection in (ReadOnlySpan<string>)[Store, Queues, Leases, Attempts, WriteAheads, Bodies, Chunks])
        {
            session.EnsureCollection(collection);
        }
    }
}
