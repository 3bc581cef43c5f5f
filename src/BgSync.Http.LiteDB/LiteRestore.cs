using BgSync.Http.LiteDB.Collections;
using BgSync.Http.LiteDB.Documents;
using BgSync.Http.LiteDB.Files;
using BgSync.Http.Storage;
using LiteDB;

namespace BgSync.Http.LiteDB;

/// <summary>Makes a store of what was read from a damaged one: entries and dead letters as they are, and anew what can be made anew.</summary>
/// <remarks>The fields of a document tell its kind, so that nothing depends on the names of the collections.</remarks>
internal sealed class LiteRestore(LiteSession session, long now)
{
    // Bounds a transaction, which LiteDB keeps in memory.
    private const int MostPerCommit = 200;

    private readonly Dictionary<string, BsonDocument> _lanes = [];
    private readonly HashSet<string> _queues = [];
    private readonly HashSet<long> _bodies = [];
    private readonly HashSet<long> _usedBodies = [];
    private long _lastId;
    private int _deadLetters;

    public (int Entries, int DeadLetters) Run(IEnumerable<SalvagedDocument> documents)
    {
        InTransactions(documents, salvaged => Take(salvaged.Document));
        var entries = 0;
        foreach (var queue in _queues)
        {
            entries += CountIn(queue);
            OpenLanes(queue);
            CountDeadLetters(queue);
        }

        InTransactions(_bodies.Except(_usedBodies), id => session.Upsert(LiteSchema.Bodies, new BsonDocument { ["_id"] = id }));
        InTransactions([_lastId], id => session.Changes.Ids.Skip(session, id));
        return (entries, _deadLetters);
    }

    private void Take(BsonDocument document)
    {
        if (document.Number("_id") is { } id)
        {
            Take(document, id);
        }
        else if (document.Text("_id") == IdCounter.DocumentId)
        {
            See(document.Number("next") - 1);
        }
        else if (document.ContainsKey("dueKey"))
        {
            _lanes[NameOf(document.Text("queue"), document.Text("lane"))] = document;
        }
        else if (document.ContainsKey("nextBack") && document.Text("name") is { } name)
        {
            var stored = LiteQueue.Read(document);
            Open(name).Continue(stored);
        }
    }

    private void Take(BsonDocument document, long id)
    {
        if (document.ContainsKey("bytes"))
        {
            if (document.Number("body") is { } body)
            {
                _bodies.Add(body);
                See(body);
                session.Upsert(LiteSchema.Chunks, document);
            }
        }
        else if (document.ContainsKey("ageKey"))
        {
            See(id);
            session.Upsert(LiteSchema.Receipts, document);
        }
        else if (document.Array("attempts") is not null)
        {
            session.Upsert(LiteSchema.Attempts, document);
        }
        else if (document.Text("queue") is { } queue && document.Text("lane") is not null)
        {
            See(id);
            TakeRequest(document, id, Open(queue));
        }
    }

    private void TakeRequest(BsonDocument document, long id, LiteQueue queue)
    {
        if (document.Number("bodyId") is { } body)
        {
            See(body);
            _usedBodies.Add(body);
        }

        if (document.ContainsKey("orderKey"))
        {
            session.Upsert(LiteSchema.DeadLetters, document);
        }
        else if (document.ContainsKey("repeatable"))
        {
            session.Upsert(LiteSchema.WriteAheads, document);
        }
        else if (document.Number("position") is { } position && document.Text("origin") is not null)
        {
            var row = EntryDocument.ToRow(document);
            if (!row.IsWhole && session.Get(queue.Collection, id) is not null)
            {
                return;
            }

            session.Upsert(queue.Collection, EntryCollection.Write(id, row, StartOf(document, position)));
        }
    }

    /// <summary>Counts the entries of a queue, but for those that have ended and were read from a page that had not heard of it.</summary>
    private int CountIn(string name)
    {
        var counted = 0;
        InTransactions(Ids(name), id =>
        {
            var queue = Open(name);
            var entry = session.Get(queue.Collection, id)!;
            if (session.Get(LiteSchema.Receipts, id) is not null || session.Get(LiteSchema.DeadLetters, id) is not null)
            {
                session.Delete(queue.Collection, id);
                return;
            }

            counted++;
            queue.Enter(entry.Number("bodyLength") ?? 0);
            queue.CountDependents(entry.Number("prerequisite") is null ? 0 : 1);
            queue.Pass(entry.Number("position") ?? 0);
        });
        return counted;
    }

    private void OpenLanes(string name)
    {
        var heads = new List<long>();
        InTransactions([name], _ =>
        {
            var queue = Open(name);
            var key = new byte[IndexKey.HashLength];
            while (session.FirstBetween(queue.Collection, EntryCollection.Lane, key, IndexKey.Of(IndexKey.Last, long.MaxValue)) is { } first)
            {
                heads.Add(first["_id"].AsInt64);
                key = IndexKey.Of(first.Bytes("laneKey").AsSpan(0, IndexKey.HashLength), long.MaxValue, 0);
            }
        });
        InTransactions(heads, id =>
        {
            var queue = Open(name);
            var entry = session.Get(queue.Collection, id)!;
            var row = EntryDocument.ToRow(entry);
            var stored = _lanes.GetValueOrDefault(NameOf(name, row.Lane)) is { } document && document.Number("head") == id
                ? LiteLane.Read(queue, document)
                : null;
            var start = stored is null
                ? StartOf(entry, entry.Number("position") ?? 0)
                : new EntryStart(
                    stored.HeadPosition,
                    stored.AttemptsWithLost,
                    stored.LastError,
                    stored.Token is null && stored.Wait != LaneWait.Prerequisite ? stored.VisibleAt : now,
                    stored.Wait == LaneWait.AskedFor);
            LaneCollection.Enter(session, queue, row, id, start, now);
        });
    }

    private void CountDeadLetters(string name) => InTransactions([name], _ =>
    {
        var queue = Open(name);
        var letters = session.Keys(
            LiteSchema.DeadLetters,
            DeadLetterCollection.Order,
            IndexKey.Of(queue.Key, long.MinValue),
            IndexKey.Of(queue.Key, long.MaxValue));
        queue.CountDeadLetters(letters.Count);
        _deadLetters += letters.Count;
        if (letters.Count > 0)
        {
            queue.PassDeadLetter(IndexKey.NumberAt(letters[^1].AsBinary, queue.Key.Length));
        }
    });

    private List<long> Ids(string name)
    {
        var ids = new List<long>();
        InTransactions(
            [name],
            _ => ids = session.Keys(Open(name).Collection, LiteIndex.Id, long.MinValue, long.MaxValue)
                .ConvertAll(static id => id.AsInt64));
        return ids;
    }

    private LiteQueue Open(string name)
    {
        _queues.Add(name);
        return session.Changes.Queues.Open(session, name);
    }

    private void See(long? id) => _lastId = Math.Max(_lastId, id ?? 0);

    private void InTransactions<T>(IEnumerable<T> items, Action<T> take)
    {
        foreach (var chunk in items.Chunk(MostPerCommit))
        {
            session.Begin();
            foreach (var item in chunk)
            {
                take(item);
            }

            session.Commit();
        }
    }

    private static string NameOf(string? queue, string? lane) => $"{queue}\0{lane}";

    private static EntryStart StartOf(BsonDocument entry, long position) => new(
        position,
        (int)(entry.Number("attempts") ?? 0),
        entry.Text("lastError"),
        entry.ContainsKey("notBefore") || entry.Flag("askedByServer") ? entry.Time("notBefore") : 0,
        entry.Flag("askedByServer"));
}
