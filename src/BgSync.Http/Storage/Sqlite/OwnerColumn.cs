namespace BgSync.Http.Storage.Sqlite;

/// <summary>A column that says which store a row belongs to, with an index of its own.</summary>
internal static class OwnerColumn
{
    /// <summary>The owners of rows, found by jumping from one to the next along the index: owners are few, rows may be many.</summary>
    public static List<Guid> FindOwners(SqliteSession session, string table, string column)
    {
        var owners = new List<Guid>();
        var last = Array.Empty<byte>();
        while (Next(last) is { } next)
        {
            owners.Add(new Guid(next));
            last = next;
        }

        return owners;

        byte[]? Next(byte[] after)
        {
            using var reader = session.Query(
                $"SELECT {column} FROM {table} WHERE {column} > $after ORDER BY {column} LIMIT 1", ("$after", after));
            return reader.Read() ? reader.GetBytes(0) : null;
        }
    }
}
