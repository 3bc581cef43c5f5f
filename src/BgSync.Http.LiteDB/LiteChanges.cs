using BgSync.Http.LiteDB.Collections;

namespace BgSync.Http.LiteDB;

/// <summary>
/// The documents that every operation reads and changes, kept in memory and written once for all that share a transaction.
/// </summary>
internal sealed class LiteChanges
{
    public QueueCollection Queues { get; } = new();

    public IdCounter Ids { get; } = new();

    /// <summary>Whether bodies may be left to be deleted. Set too often does no harm.</summary>
    public bool HasRemains { get; set; }

    /// <summary>Writes what has changed, before the transaction is committed.</summary>
    public void Save(LiteSession session)
    {
        Queues.Save(session);
        Ids.Save(session);
    }

    /// <summary>Reads all anew, after a transaction was rolled back.</summary>
    public void Forget()
    {
        Queues.Forget();
        Ids.Forget();
    }
}
