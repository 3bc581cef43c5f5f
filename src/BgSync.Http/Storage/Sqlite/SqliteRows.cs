using static SQLitePCL.raw;

namespace BgSync.Http.Storage.Sqlite;

/// <summary>
/// The rows of a running <see cref="SqliteStatement"/>, read as by a <see cref="Microsoft.Data.Sqlite.SqliteDataReader"/>, which allocates
/// and looks up more than a row of a queue is worth. Disposing of it ends the run.
/// </summary>
internal sealed class SqliteRows(SqliteStatement statement, SQLitePCL.sqlite3_stmt handle) : IDisposable
{
    private bool _isAtFirst;

    /// <summary>Says that the statement has made its first step.</summary>
    public SqliteRows Begin()
    {
        _isAtFirst = true;
        return this;
    }

    /// <summary>Goes to the next row.</summary>
    /// <returns><see langword="false"/> when there is none.</returns>
    public bool Read()
    {
        if (!_isAtFirst)
        {
            return statement.Step();
        }

        _isAtFirst = false;
        return statement.HasRow;
    }

    public bool IsDBNull(int column) => sqlite3_column_type(handle, column) == SQLITE_NULL;

    public long GetInt64(int column) => sqlite3_column_int64(handle, NotNull(column));

    public int GetInt32(int column) => checked((int)GetInt64(column));

    public bool GetBoolean(int column) => GetInt64(column) != 0;

    public string GetString(int column) => sqlite3_column_text(handle, NotNull(column)).utf8_to_string();

    public byte[] GetBytes(int column) => sqlite3_column_blob(handle, NotNull(column)).ToArray();

    public object GetValue(int column) => sqlite3_column_type(handle, column) switch
    {
        SQLITE_NULL => DBNull.Value,
        SQLITE_INTEGER => GetInt64(column),
        SQLITE_FLOAT => sqlite3_column_double(handle, column),
        SQLITE_BLOB => GetBytes(column),
        _ => GetString(column),
    };

    public void Dispose() => statement.End();

    // A column that must be there and is not belongs to a damaged row.
    private int NotNull(int column) =>
        IsDBNull(column) ? throw new InvalidOperationException($"Column {column} of a row is missing.") : column;
}
