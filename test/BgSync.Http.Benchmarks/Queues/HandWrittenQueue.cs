using System.Globalization;
using Microsoft.Data.Sqlite;

namespace BgSync.Http.Benchmarks.Queues;

/// <summary>
/// The queue that applications write for themselves: one table in SQLite, one connection behind a lock, a commit for each row, and
/// SQLite's settings as they come.
/// </summary>
internal sealed class HandWrittenQueue : IDisposable
{
    private readonly SqliteConnection _connection;
    private readonly SemaphoreSlim _turn = new(1, 1);

    public HandWrittenQueue(string folder)
    {
        _connection = new SqliteConnection($"Data Source={Path.Combine(folder, "requests.db")};Pooling=False");
        _connection.Open();
        Execute(
            """
            CREATE TABLE IF NOT EXISTS request (
                id INTEGER PRIMARY KEY AUTOINCREMENT, method TEXT, uri TEXT, headers TEXT, body BLOB, created TEXT, attempts INTEGER)
            """);
    }

    public async Task AddAsync(string method, string uri, string headers, byte[] body)
    {
        await _turn.WaitAsync();
        try
        {
            Execute(
                "INSERT INTO request (method, uri, headers, body, created, attempts) VALUES ($method, $uri, $headers, $body, $created, 0)",
                ("$method", method),
                ("$uri", uri),
                ("$headers", headers),
                ("$body", body),
                ("$created", DateTimeOffset.UtcNow.ToString("O", CultureInfo.InvariantCulture)));
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>The oldest request; <see langword="null"/> when there is none.</summary>
    public async Task<(long Id, string Uri, byte[] Body)?> PeekAsync()
    {
        await _turn.WaitAsync();
        try
        {
            using var command = _connection.CreateCommand();
            command.CommandText = "SELECT id, uri, body FROM request ORDER BY id LIMIT 1";
            using var reader = command.ExecuteReader();
            return reader.Read() ? (reader.GetInt64(0), reader.GetString(1), reader.GetFieldValue<byte[]>(2)) : null;
        }
        finally
        {
            _turn.Release();
        }
    }

    public async Task RemoveAsync(long id)
    {
        await _turn.WaitAsync();
        try
        {
            Execute("DELETE FROM request WHERE id = $id", ("$id", id));
        }
        finally
        {
            _turn.Release();
        }
    }

    public async Task ClearAsync()
    {
        await _turn.WaitAsync();
        try
        {
            Execute("DELETE FROM request");
        }
        finally
        {
            _turn.Release();
        }
    }

    public async Task<long> CountAsync()
    {
        await _turn.WaitAsync();
        try
        {
            using var command = _connection.CreateCommand();
            command.CommandText = "SELECT count(*) FROM request";
            return Convert.ToInt64(command.ExecuteScalar(), CultureInfo.InvariantCulture);
        }
        finally
        {
            _turn.Release();
        }
    }

    public void Dispose()
    {
        _connection.Dispose();
        _turn.Dispose();
    }

    private void Execute(string sql, params ReadOnlySpan<(string Name, object Value)> parameters)
    {
        using var command = _connection.CreateCommand();
        command.CommandText = sql;
        foreach (var (name, value) in parameters)
        {
            command.Parameters.AddWithValue(name, value);
        }

        command.ExecuteNonQuery();
    }
}
