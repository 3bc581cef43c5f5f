using System.Text;

namespace BgSync.Http.LiteDB.Collections;

/// <summary>The queues, each with a collection for its entries.</summary>
internal sealed class QueueCollection
{
    // LiteDB keeps the names of all collections in its first page: these bytes of it, and six with each name.
    private const int SpaceForNames = 7900;
    private const int SpaceBesidesName = 6;

    private readonly Dictionary<string, (LiteQueue Queue, string Id)> _queues = [];
    private long? _spaceLeft;

    /// <summary>A queue; <see langword="null"/> when nothing was ever done to it.</summary>
    public LiteQueue? Find(LiteSession session, string name)
    {
        if (_queues.TryGetValue(name, out var known))
        {
            return known.Queue;
        }

        return Find(session, name, CollectionName.Of(name)) ?? Find(session, name, CollectionName.Exact(name));
    }

    /// <summary>A queue, which gets a collection with its indexes before anything is written to it.</summary>
    /// <exception cref="QueueStoreException">The file has no room for the name of another collection.</exception>
    public LiteQueue Open(LiteSession session, string name)
    {
        if (Find(session, name) is { } queue)
        {
            return queue;
        }

        var collection = CollectionName.Of(name);
        if (session.Get(LiteSchema.Queues, IdOf(collection)) is not null)
        {
            collection = CollectionName.Exact(name);
        }

        TakeSpace(session, name, collection);
        EntryCollection.Create(session, collection);
        queue = new LiteQueue(name, collection);
        session.Insert(LiteSchema.Queues, queue.Write(IdOf(collection)));
        _queues[name] = (queue, IdOf(collection));
        return queue;
    }

    public void Save(LiteSession session)
    {
        foreach (var (queue, id) in _queues.Values)
        {
            if (queue.IsChanged)
            {
                session.Update(LiteSchema.Queues, queue.Write(id));
            }
        }
    }

    public void Forget()
    {
        _queues.Clear();
        _spaceLeft = null;
    }

    // LiteDB does not tell names apart that differ in case only.
    private static string IdOf(string collection) => collection.ToLowerInvariant();

    private LiteQueue? Find(LiteSession session, string name, string collection)
    {
        var id = IdOf(collection);
        if (session.Get(LiteSchema.Queues, id) is not { } document || LiteQueue.Read(document) is not { } queue || queue.Name != name)
        {
            return null;
        }

        _queues[name] = (queue, id);
        return queue;
    }

    // Counted here, because LiteDB looks only when it commits, and fails with all that shares the commit.
    private void TakeSpace(LiteSession session, string name, string collection)
    {
        _spaceLeft ??= SpaceForNames - session.Collections.Sum(SpaceFor);
        if (SpaceFor(collection) > _spaceLeft)
        {
            throw new QueueStoreException(
                StoreFault.Full,
                $"The LiteDB file has no room for queue '{name}': the names of all queues have to fit into {SpaceForNames} bytes, "
                + "which are some 350 names of 16 letters. Use fewer queues and more lanes, or shorter names, or the SQLite store.");
        }

        _spaceLeft -= SpaceFor(collection);
    }

    private static int SpaceFor(string collection) => Encoding.UTF8.GetByteCount(collection) + SpaceBesidesName;
}
