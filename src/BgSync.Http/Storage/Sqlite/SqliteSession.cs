using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace BgSync.Http.Storage.Sqlite;

/// <summary>A connection with the statements that were prepared on it. Used by one thread at a time.</summary>
internal sealed class SqliteSession(SqliteConnection connection) : IDisposable
{
    private readonly Dictionary<string, SqliteCommand> _commands = [];
    private readonly Dictionary<string, SqliteStatement> _statements = [];

    public SqliteConnection Connection => connection;

    /// <summary>The texts of the statements prepared so far.</summary>
    public IReadOnlyCollection<string> Statements => [.. _commands.Keys.Union(_statements.Keys)];

    /// <summary>How many pages of the file it has looked at, in memory or on disk.</summary>
    public long PagesVisited => Status(raw.SQLITE_DBSTATUS_CACHE_HIT) + Status(raw.SQLITE_DBSTATUS_CACHE_MISS);

    public long LastInsertId => raw.sqlite3_last_insert_rowid(connection.Handle);

    /// <summary>Runs a statement that returns no rows.</summary>
    /// <returns>How many rows it changed.</returns>
    public int Execute(string sql, params ReadOnlySpan<(string Name, object? Value)> parameters)
    {
        using var rows = TryBegin(sql, parameters);
        // A command waits for whoever is in the way, for as long as it may.
        return rows is null ? Prepare(sql, parameters).ExecuteNonQuery() : raw.sqlite3_changes(connection.Handle);
    }

    /// <summary>Runs a query; its rows are to be disposed of before the same statement runs again.</summary>
    public SqliteRows Query(string sql, params ReadOnlySpan<(string Name, object? Value)> parameters)
    {
        while (true)
        {
            if (TryBegin(sql, parameters) is { } rows)
            {
                return rows;
            }

            // A command waits for whoever is in the way, for as long as it may.
            using var waiting = Prepare(sql, parameters).ExecuteReader();
        }
    }

    /// <summary>The first column of the first row; <see langword="null"/> when there is none.</summary>
    public long? QueryInt64(string sql, params ReadOnlySpan<(string Name, object? Value)> parameters)
    {
        using var rows = Query(sql, parameters);
        return rows.Read() && !rows.IsDBNull(0) ? rows.GetInt64(0) : null;
    }

    /// <summary>Runs a script once, without keeping it prepared.</summary>
    public void RunScript(string sql)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    /// <summary>Rolls back, unless SQLite has done so by itself.</summary>
    public void TryRollBack()
    {
        if (raw.sqlite3_get_autocommit(connection.Handle) == 0)
        {
            Execute("ROLLBACK");
        }
    }

    public void Dispose()
    {
        foreach (var command in _commands.Values)
        {
            command.Dispose();
        }

        foreach (var statement in _statements.Values)
        {
            statement.Dispose();
        }

        connection.Dispose();
    }

    private int Status(int counter)
    {
        _ = raw.sqlite3_db_status(connection.Handle, counter, out var current, out _, resetFlg: 0);
        return current;
    }

    private SqliteRows? TryBegin(string sql, ReadOnlySpan<(string Name, object? Value)> parameters)
    {
        if (!_statements.TryGetValue(sql, out var statement)
            && (statement = SqliteStatement.TryPrepare(connection, sql, parameters)) is not null)
        {
            _statements.Add(sql, statement);
        }

        return statement?.TryBegin(parameters);
    }

    private SqliteCommand Prepare(string sql, ReadOnlySpan<(string Name, object? Value)> parameters)
    {
        if (!_commands.TryGetValue(sql, out var command))
        {
            command = connection.CreateCommand();
            command.CommandText = sql;
            foreach (var (name, _) in parameters)
            {
                command.Parameters.Add(new SqliteParameter { ParameterName = name });
            }

            _commands.Add(sql, command);
        }

        // A statement is always run with the same parameters in the same order.
        for (var i = 0; i < parameters.Length; i++)
        {
            command.Parameters[i].Value = parameters[i].Value ?? DBNull.Value;
        }

        return command;
    }
}
