using System.Transactions;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace BgSync.Http.PostgreSql;

/// <summary>Connections to a database whose schema was looked at before they are used.</summary>
/// <param name="dataSource">The user's.</param>
/// <param name="schemaName">The name of the schema.</param>
/// <param name="logger">Told what was found.</param>
internal sealed partial class PostgreSqlConnections(NpgsqlDataSource dataSource, string schemaName, ILogger logger)
{
    private volatile bool _isChecked;

    /// <summary>The schema, quoted.</summary>
    public string Schema { get; } = SchemaName.Quote(schemaName);

    /// <summary>Whether the server returns from a commit before it is on disk, unless it is told to.</summary>
    public bool CommitsEarly { get; private set; }

    /// <summary>Opens one that takes no part in a transaction that the caller has open.</summary>
    public async ValueTask<NpgsqlConnection> OpenAsync(CancellationToken cancellationToken)
    {
        using var apart = Transaction.Current is null
            ? null
            : new TransactionScope(TransactionScopeOption.Suppress, TransactionScopeAsyncFlowOption.Enabled);
        if (!_isChecked)
        {
            await PostgreSqlMigrations.CheckAsync(dataSource, schemaName, cancellationToken).ConfigureAwait(false);
        }

        var connection = await dataSource.OpenConnectionAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (!_isChecked)
            {
                await ReadSettingsAsync(connection, cancellationToken).ConfigureAwait(false);
                _isChecked = true;
            }

            return connection;
        }
        catch
        {
            await connection.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>The exception that a caller gets.</summary>
    public Exception Describe(Exception exception)
    {
        if (PostgreSqlFaults.IsOfSchema(exception))
        {
            _isChecked = false;
        }

        return PostgreSqlFaults.Describe(exception, Schema);
    }

    private async Task ReadSettingsAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = connection.CreateCommand();
        command.CommandText = "SELECT current_setting('synchronous_commit') = 'off', current_setting('fsync') = 'off'";
        await using var reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
        await reader.ReadAsync(cancellationToken).ConfigureAwait(false);
        CommitsEarly = reader.GetBoolean(0);
        if (reader.GetBoolean(1))
        {
            Log.NoFsync(logger);
        }

        Log.Opened(logger, schemaName, connection.Database);
    }
}
