using BgSync.Http.LiteDB.Documents;
using BgSync.Http.Storage.Format;
using LiteDB;

namespace BgSync.Http.LiteDB.Collections;

/// <summary>The bodies too large to stand beside their entry, in chunks.</summary>
/// <remarks>
/// A body has a document of its own only while it is being written, with its owner, and while it is being deleted, without one: a
/// large one is deleted bit by bit, for LiteDB keeps every page of a transaction in memory.
/// </remarks>
internal static class BodyCollection
{
    // 4 MiB.
    private const int ChunksAtOnce = 16;

    private const int NumberBits = 24;

    public static long Begin(LiteSession session)
    {
        var id = session.Changes.Ids.Take(session);
        session.Insert(LiteSchema.Bodies, new BsonDocument { ["_id"] = id, ["owner"] = session.Owner });
        return id;
    }

    public static void Append(LiteSession session, long id, int number, byte[] bytes) =>
        session.Insert(LiteSchema.Chunks, new BsonDocument
        {
            ["_id"] = ChunkId(id, number),
            ["body"] = id,
            ["number"] = (long)number,
            ["checksum"] = ChunkedBody.Checksum(bytes, id, number),
            ["bytes"] = bytes,
        });

    /// <summary>The bytes of a chunk; <see langword="null"/> when they are not there, or not those that were written.</summary>
    public static byte[]? FindChunk(LiteSession session, long id, int number) =>
        session.Get(LiteSchema.Chunks, ChunkId(id, number)) is { } chunk
            && chunk.Bytes("bytes") is { } bytes
            && chunk.Number("checksum") == ChunkedBody.Checksum(bytes, id, number)
            ? bytes
            : null;

    /// <summary>Makes a body an entry's own.</summary>
    /// <returns><see langword="false"/> when there is no such body, or another entry has it.</returns>
    public static bool Adopt(LiteSession session, long id) => IsUnfinished(session, id) && session.Delete(LiteSchema.Bodies, id);

    /// <summary>Deletes a body that no entry took over.</summary>
    public static void Abandon(LiteSession session, long id)
    {
        if (IsUnfinished(session, id))
        {
            Delete(session, id);
        }
    }

    /// <summary>Deletes a body, or the start of it: <see cref="Sweep"/> deletes the rest.</summary>
    public static void Delete(LiteSession session, long? bodyId)
    {
        if (bodyId is not { } id)
        {
            return;
        }

        if (DeleteChunks(session, id))
        {
            session.Delete(LiteSchema.Bodies, id);
        }
        else
        {
            session.Upsert(LiteSchema.Bodies, new BsonDocument { ["_id"] = id });
            session.Changes.HasRemains = true;
        }
    }

    /// <summary>Has the bodies deleted that were being written by other owners, which are dead: one store at a time has the file.</summary>
    public static void Disown(LiteSession session)
    {
        foreach (var body in session.ReadAll(LiteSchema.Bodies).Where(body => body.Guid("owner") != session.Owner))
        {
            session.Changes.HasRemains = true;
            if (body.Remove("owner"))
            {
                session.Update(LiteSchema.Bodies, body);
            }
        }
    }

    /// <summary>Goes on with a deletion.</summary>
    /// <returns>Whether there is more of it.</returns>
    public static bool Sweep(LiteSession session)
    {
        var remains = session.ReadAll(LiteSchema.Bodies).FindAll(static body => body.Guid("owner") is null);
        if (remains.Count > 0 && DeleteChunks(session, remains[0]["_id"].AsInt64))
        {
            session.Delete(LiteSchema.Bodies, remains[0]["_id"]);
            return remains.Count > 1;
        }

        return remains.Count > 0;
    }

    /// <returns>Whether none are left.</returns>
    private static bool DeleteChunks(LiteSession session, long id)
    {
        var chunks = session.Keys(
            LiteSchema.Chunks, LiteIndex.Id, ChunkId(id, 0), ChunkId(id, (1 << NumberBits) - 1), ChunksAtOnce);
        foreach (var chunk in chunks)
        {
            session.Delete(LiteSchema.Chunks, chunk);
        }

        return chunks.Count < ChunksAtOnce;
    }

    private static bool IsUnfinished(LiteSession session, long id) => session.Get(LiteSchema.Bodies, id)?.Guid("owner") is not null;

    private static long ChunkId(long id, int number) => (id << NumberBits) | (long)number;
}
