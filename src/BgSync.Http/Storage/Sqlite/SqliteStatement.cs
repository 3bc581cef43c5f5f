using System.Buffers;
using System.Text;
using Microsoft.Data.Sqlite;
using static SQLitePCL.raw;

namespace BgSync.Http.Storage.Sqlite;

/// <summary>
/// A statement that is run again and again with the same parameters. It binds them by number: a <see cref="SqliteCommand"/> looks each of
/// them up by its name at every run, which takes as long as SQLite does.
/// </summary>
internal sealed class SqliteStatement : IDisposable
{
    private readonly SqliteConnection _connection;
    private readonly SQLitePCL.sqlite3_stmt _statement;
    private readonly int[] _indexes;
    private readonly SqliteRows _rows;

    private SqliteStatement(SqliteConnection connection, SQLitePCL.sqlite3_stmt statement, int[] indexes)
    {
        _connection = connection;
        _statement = statement;
        _indexes = indexes;
        _rows = new SqliteRows(this, statement);
    }

    /// <returns><see langword="null"/> when it cannot be prepared now; a command finds out why.</returns>
    public static SqliteStatement? TryPrepare(
        SqliteConnection connection, string sql, ReadOnlySpan<(string Name, object? Value)> parameters)
    {
        if (sqlite3_prepare_v3(connection.Handle, sql, SQLITE_PREPARE_PERSISTENT, out var statement) != SQLITE_OK)
        {
            statement?.Dispose();
            return null;
        }

        var indexes = new int[parameters.Length];
        for (var i = 0; i < indexes.Length; i++)
        {
            indexes[i] = sqlite3_bind_parameter_index(statement, parameters[i].Name);
        }

        return new(connection, statement, indexes);
    }

    /// <summary>Whether the last step has come to a row.</summary>
    public bool HasRow { get; private set; }

    /// <summary>Takes the first step.</summary>
    /// <param name="parameters">The same as when it was prepared, in the same order.</param>
    /// <returns>The rows; <see langword="null"/> when somebody else is in the way, and nothing was done.</returns>
    public SqliteRows? TryBegin(ReadOnlySpan<(string Name, object? Value)> parameters)
    {
        try
        {
            for (var i = 0; i < _indexes.Length; i++)
            {
                if (_indexes[i] > 0)
                {
                    Check(Bind(_indexes[i], parameters[i].Value));
                }
            }

            var code = sqlite3_step(_statement);
            if (code is SQLITE_BUSY or SQLITE_LOCKED)
            {
                End();
                return null;
            }

            Take(code);
            return _rows.Begin();
        }
        catch
        {
            End();
            throw;
        }
    }

    /// <summary>Takes another step.</summary>
    /// <returns>Whether it has come to a row.</returns>
    public bool Step()
    {
        // A step after the last one would begin anew.
        if (HasRow)
        {
            Take(sqlite3_step(_statement));
        }

        return HasRow;
    }

    /// <summary>Ends the run.</summary>
    public void End()
    {
        HasRow = false;
        // Says again what the step has said.
        _ = sqlite3_reset(_statement);
        _ = sqlite3_clear_bindings(_statement);
    }

    public void Dispose() => _statement.Dispose();

    private void Take(int code)
    {
        HasRow = code == SQLITE_ROW;
        Check(code is SQLITE_ROW or SQLITE_DONE ? SQLITE_OK : code);
    }

    private void Check(int code) => SqliteException.ThrowExceptionForRC(code, _connection.Handle);

    private int Bind(int index, object? value) => value switch
    {
        null or DBNull => sqlite3_bind_null(_statement, index),
        long number => sqlite3_bind_int64(_statement, index, number),
        int number => sqlite3_bind_int64(_statement, index, number),
        double number => sqlite3_bind_double(_statement, index, number),
        bool flag => sqlite3_bind_int64(_statement, index, flag ? 1 : 0),
        string text => BindText(index, text),
        // An empty one without an address would be no value at all.
        byte[] { Length: 0 } => sqlite3_bind_zeroblob(_statement, index, 0),
        byte[] bytes => sqlite3_bind_blob(_statement, index, bytes),
        _ => throw new NotSupportedException($"{value.GetType()} is not bound."),
    };

    private int BindText(int index, string text)
    {
        if (text.Length == 0)
        {
            return sqlite3_bind_text(_statement, index, text);
        }

        var buffer = ArrayPool<byte>.Shared.Rent(Encoding.UTF8.GetMaxByteCount(text.Length));
        try
        {
            // Copied by SQLite.
            return sqlite3_bind_text(_statement, index, buffer.AsSpan(0, Encoding.UTF8.GetBytes(text, buffer)));
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
