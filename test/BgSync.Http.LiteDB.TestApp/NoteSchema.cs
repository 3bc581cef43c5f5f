using BgSync.Http.LiteDB.Files;
using LiteDB;

namespace BgSync.Http.LiteDB.TestApp;

/// <summary>Notes, and in another collection how many there are: both change in one transaction.</summary>
internal sealed class NoteSchema : ILiteSchema
{
    public const string Notes = "notes";

    private const string Tally = "tally";

    public byte Version { get; init; } = 1;

    public void Prepare(LiteSession session, byte version)
    {
        session.EnsureIndex(Notes, "key", BsonExpression.Create("$.key"));
        if (Count(session) < 0)
        {
            session.Insert(Tally, new BsonDocument { ["_id"] = 1, ["count"] = 0L });
        }
    }

    public (int Entries, int DeadLetters) Restore(LiteSession session, IEnumerable<SalvagedDocument> documents, byte version)
    {
        session.Begin();
        Prepare(session, version);
        foreach (var (collection, document) in documents)
        {
            if (collection == Notes && IsWhole(document) && session.Upsert(Notes, document))
            {
                SetCount(session, Count(session) + 1);
            }
        }

        session.Commit();
        return ((int)Count(session), 0);
    }

    public static void Add(LiteSession session, Note note)
    {
        session.Insert(Notes, note.ToDocument());
        SetCount(session, Count(session) + 1);
    }

    public static void Delete(LiteSession session, long id)
    {
        if (!session.Delete(Notes, id))
        {
            throw new InvalidDataException($"Note {id} is not there.");
        }

        SetCount(session, Count(session) - 1);
    }

    /// <summary>Reads all notes, by the one index and by the other.</summary>
    /// <exception cref="InvalidDataException">Something does not fit together.</exception>
    public static SortedSet<long> ReadAll(LiteSession session)
    {
        var notes = session.Find(Notes, new Query()).ConvertAll(Note.From);
        var byKey = new Query { OrderBy = BsonExpression.Create("$.key") };
        var keys = session.Find(Notes, byKey).ConvertAll(Note.From);
        var ids = new SortedSet<long>(notes.Select(note => note.Id));
        if (ids.Count != notes.Count || !ids.SequenceEqual(keys.Select(note => note.Id)) || Count(session) != ids.Count)
        {
            throw new InvalidDataException($"{notes.Count} notes, {keys.Count} keys, {Count(session)} counted.");
        }

        return ids;
    }

    private static long Count(LiteSession session) =>
        session.Find(Tally, new Query()).Select(document => document["count"].AsInt64).DefaultIfEmpty(-1).Single();

    private static void SetCount(LiteSession session, long count) =>
        session.Update(Tally, new BsonDocument { ["_id"] = 1, ["count"] = count });

    private static bool IsWhole(BsonDocument document)
    {
        try
        {
            Note.From(document);
            return true;
        }
        catch (Exception exception) when (exception is InvalidDataException or InvalidCastException)
        {
            return false;
        }
    }
}
