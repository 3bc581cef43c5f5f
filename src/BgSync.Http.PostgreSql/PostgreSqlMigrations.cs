using System.Globalization;
using System.Reflection;
using System.Text;
using Npgsql;

namespace BgSync.Http.PostgreSql;

/// <summary>
/// Makes the schema of the PostgreSQL store, or brings an older one up to date. The store itself never does: it checks at its first use and
/// says what is missing.
/// </summary>
/// <remarks>Thread-safe.</remarks>
public static class PostgreSqlMigrations
{
    private const string DefaultSchema = "bgsync";

    /// <summary>The version of the schema that this version of the library is made for.</summary>
    public const int LatestVersion = 1;

    /// <summary>The SQL that <see cref="ApplyAsync"/> would run, for those who want to read it or to run it by themselves.</summary>
    /// <param name="schema">The schema. Default: <c>bgsync</c>.</param>
    /// <param name="installedVersion">
    /// The version that is there; 0, the default, where there is none. <see cref="LatestVersion"/> at most.
    /// </param>
    /// <returns>One transaction, as <c>psql</c> takes it.</returns>
    /// <exception cref="ArgumentException">The schema has no valid name, or there is no such version.</exception>
    public static string GetScript(string schema = DefaultSchema, int installedVersion = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(installedVersion);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(installedVersion, LatestVersion);
        return $"""
            -- BgSync.Http: schema {SchemaName.Quote(schema)}, from version {installedVersion} to version {LatestVersion}.
            BEGIN;
            {Lock(schema)};

            {Steps(schema, installedVersion)}
            COMMIT;

            """;
    }

    /// <summary>The SQL that lets a role use the store and change nothing of its schema. The role that runs it owns the schema.</summary>
    /// <param name="role">The role of the application.</param>
    /// <param name="schema">The schema. Default: <c>bgsync</c>.</param>
    /// <exception cref="ArgumentException">The schema has no valid name.</exception>
    public static string GetGrants(string role, string schema = DefaultSchema)
    {
        ArgumentException.ThrowIfNullOrEmpty(role);
        var grantee = $"\"{role.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
        var quoted = SchemaName.Quote(schema);
        return $"""
            GRANT USAGE ON SCHEMA {quoted} TO {grantee};
            GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {quoted} TO {grantee};
            GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {quoted} TO {grantee};
            GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {quoted} TO {grantee};
            REVOKE INSERT, UPDATE, DELETE ON {quoted}.schema_version FROM {grantee};

            """;
    }

    /// <summary>
    /// Makes the schema, or brings it up to date, in one transaction. Of several calls at once one does it, and the others find it done.
    /// </summary>
    /// <param name="dataSource">The database. Its role needs the right to create a schema in it, or to own the one that is there.</param>
    /// <param name="schema">The schema. Default: <c>bgsync</c>.</param>
    /// <param name="cancellationToken">Gives up; nothing is changed then.</param>
    /// <returns>The version that was there before; 0 where there was none.</returns>
    /// <exception cref="ArgumentException">The schema has no valid name.</exception>
    /// <exception cref="QueueStoreException">The schema is of a later version of the library.</exception>
    /// <exception cref="NpgsqlException">The server refuses; nothing is changed.</exception>
    public static async Task<int> ApplyAsync(
        NpgsqlDataSource dataSource, string schema = DefaultSchema, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(dataSource);
        _ = SchemaName.Quote(schema);
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken).ConfigureAwait(false);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken).ConfigureAwait(false);
        await ExecuteAsync(connection, Lock(schema), cancellationToken).ConfigureAwait(false);
        var installed = await ExistsAsync(connection, schema, cancellationToken).ConfigureAwait(false)
            ? await ReadVersionAsync(connection, schema, cancellationToken).ConfigureAwait(false)
            : default;
        if (installed.Version > LatestVersion)
        {
            throw TooNew(schema, installed.Version);
        }

        if (installed.Version < LatestVersion)
        {
            await ExecuteAsync(connection, Steps(schema, installed.Version), cancellationToken).ConfigureAwait(false);
            await transaction.CommitAsync(cancellationToken).ConfigureAwait(false);
        }

        return installed.Version;
    }

    /// <summary>Looks whether the schema is one that this version of the library can use.</summary>
    /// <exception cref="QueueStoreException">It is not: <see cref="StoreFault.NotAStore"/>, and what to do about it.</exception>
    internal static async Task CheckAsync(NpgsqlDataSource dataSource, string schema, CancellationToken cancellationToken)
    {
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken).ConfigureAwait(false);
        SchemaVersion installed;
        try
        {
            installed = await ReadVersionAsync(connection, schema, cancellationToken).ConfigureAwait(false);
        }
        catch (PostgresException e) when (e.SqlState is PostgresErrorCodes.InvalidSchemaName or PostgresErrorCodes.UndefinedTable)
        {
            throw new QueueStoreException(
                StoreFault.NotAStore,
                $"There is no store in schema '{schema}' of this database. Run: {MigrateCommand(schema)}",
                e);
        }
        catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.InsufficientPrivilege)
        {
            throw new QueueStoreException(
                StoreFault.NotAStore,
                $"The role may not use schema '{schema}'. Its owner grants it by what this prints: "
                + $"bgsync postgres script --grant-to ROLE{SchemaArgument(schema)}",
                e);
        }

        if (installed.Version > LatestVersion && installed.ReadableFrom > LatestVersion)
        {
            throw TooNew(schema, installed.Version);
        }

        if (installed.Version < LatestVersion)
        {
            throw new QueueStoreException(
                StoreFault.NotAStore,
                $"The store in schema '{schema}' is of version {installed.Version}; this library needs version {LatestVersion}. "
                + $"Run: {MigrateCommand(schema)}");
        }
    }

    private static string MigrateCommand(string schema) => $"bgsync postgres migrate{SchemaArgument(schema)}";

    private static string SchemaArgument(string schema) => schema == DefaultSchema ? "" : $" --schema {schema}";

    private static QueueStoreException TooNew(string schema, int version) => new(
        StoreFault.NotAStore,
        $"The store in schema '{schema}' is of version {version}, made by a later version of this library, which knows versions up to "
        + $"{LatestVersion}. Update the library.");

    private static string Lock(string schema) =>
        $"SELECT pg_advisory_xact_lock(hashtextextended('BgSync.Http migration of {schema}', 0))";

    private static string Steps(string schema, int installedVersion)
    {
        var steps = new StringBuilder();
        for (var version = installedVersion + 1; version <= LatestVersion; version++)
        {
            steps.AppendLine(ReadStep(version).Replace("{schema}", SchemaName.Quote(schema), StringComparison.Ordinal));
        }

        return steps.ToString();
    }

    /// <summary>Reads the script that leads to a version from the one before it.</summary>
    private static string ReadStep(int version)
    {
        var name = string.Create(CultureInfo.InvariantCulture, $"Migrations/{version:0000}.sql");
        using var stream = Assembly.GetExecutingAssembly().GetManifestResourceStream(name)
            ?? throw new InvalidOperationException($"'{name}' is missing in the assembly.");
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }

    private static async Task<bool> ExistsAsync(NpgsqlConnection connection, string schema, CancellationToken cancellationToken)
    {
        await using var command = connection.CreateCommand();
        command.CommandText = "SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = $1 AND tablename = 'schema_version')";
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = schema });
        return (bool)(await command.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false))!;
    }

    private static async Task<SchemaVersion> ReadVersionAsync(
        NpgsqlConnection connection, string schema, CancellationToken cancellationToken)
    {
        await using var command = connection.CreateCommand();
        command.CommandText = $"SELECT version, readable_from FROM {SchemaName.Quote(schema)}.schema_version";
        await using var reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
        return await reader.ReadAsync(cancellationToken).ConfigureAwait(false)
            ? new SchemaVersion(reader.GetInt32(0), reader.GetInt32(1))
            : default;
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        await using var command = connection.CreateCommand();
        command.CommandText = sql;
        await command.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
    }

    private readonly record struct SchemaVersion(int Version, int ReadableFrom);
}
