namespace BgSync.Http.Storage.Sqlite;

/// <summary>The bodies too large to stand beside their entry, in chunks.</summary>
internal static class BodyTable
{
    /// <summary>Where a chunk is, and what its bytes hash to.</summary>
    public readonly record struct Chunk(long RowId, int Length, long Checksum);

    public static long Begin(SqliteSession session, Guid owner)
    {
        session.Execute("INSERT INTO body (owner) VALUES ($owner)", ("$owner", owner.ToByteArray()));
        return session.LastInsertId;
    }

    public static void Append(SqliteSession session, long id, int number, byte[] bytes, long checksum) =>
        session.Execute(
            "INSERT INTO body_chunk (body_id, number, checksum, bytes) VALUES ($id, $number, $checksum, $bytes)",
            ("$id", id), ("$number", number), ("$checksum", checksum), ("$bytes", bytes));

    /// <summary>Makes a body an entry's own.</summary>
    /// <returns><see langword="false"/> when there is no such body, or another entry has it.</returns>
    public static bool Adopt(SqliteSession session, long id) =>
        session.Execute("UPDATE body SET owner = NULL WHERE id = $id AND owner IS NOT NULL", ("$id", id)) > 0;

    /// <summary>Deletes a body that no entry took over.</summary>
    public static void Abandon(SqliteSession session, long id)
    {
        if (session.QueryInt64("SELECT 1 FROM body WHERE id = $id AND owner IS NOT NULL", ("$id", id)) is not null)
        {
            Delete(session, id);
        }
    }

    public static void Delete(SqliteSession session, long? id)
    {
        if (id is null)
        {
            return;
        }

        session.Execute("DELETE FROM body_chunk WHERE body_id = $id", ("$id", id));
        session.Execute("DELETE FROM body WHERE id = $id", ("$id", id));
    }

    public static Chunk? FindChunk(SqliteSession session, long id, int number)
    {
        using var reader = session.Query(
            "SELECT id, length(bytes), checksum FROM body_chunk WHERE body_id = $id AND number = $number",
            ("$id", id), ("$number", number));
        return reader.Read() ? new Chunk(reader.GetInt64(0), reader.GetInt32(1), reader.GetInt64(2)) : null;
    }

    /// <summary>The bodies that are being written, and by whom.</summary>
    public static List<(long Id, Guid Owner)> FindUnfinished(SqliteSession session)
    {
        using var reader = session.Query("SELECT id, owner FROM body WHERE owner IS NOT NULL");
        var bodies = new List<(long, Guid)>();
        while (reader.Read())
        {
            bodies.Add((reader.GetInt64(0), new Guid(reader.GetBytes(1))));
        }

        return bodies;
    }
}
