using System.Net.Sockets;
using Npgsql;

namespace BgSync.Http.PostgreSql;

/// <summary>The meaning of a failure of PostgreSQL or of the way to it, and the remedy.</summary>
internal static class PostgreSqlFaults
{
    // Raised by the schema's functions.
    private const string PrerequisiteBehind = "BG001";
    private const string BodyNotOurs = "BG002";

    /// <summary>Whether another was let through first, so that the same may succeed at once.</summary>
    public static bool IsCollision(Exception exception) =>
        exception is PostgresException { SqlState: PostgresErrorCodes.DeadlockDetected or PostgresErrorCodes.SerializationFailure };

    /// <summary>Whether the connection is gone, so that nobody knows what became of what was sent.</summary>
    public static bool IsBroken(Exception exception) => exception switch
    {
        PostgresException postgres => postgres.SqlState.StartsWith("08", StringComparison.Ordinal)
            || postgres.SqlState is PostgresErrorCodes.AdminShutdown or PostgresErrorCodes.CrashShutdown
                or PostgresErrorCodes.CannotConnectNow or PostgresErrorCodes.IdleSessionTimeout,
        NpgsqlException npgsql => npgsql.InnerException is not TimeoutException,
        _ => exception is IOException or SocketException,
    };

    /// <summary>The exception that a caller gets; one that is no fault of the storage stays as it is.</summary>
    public static Exception Describe(Exception exception, string schema) => exception switch
    {
        PostgresException { SqlState: PrerequisiteBehind } => new PrerequisiteException(
            "An entry can wait only for one that stands before it. " + ((PostgresException)exception).MessageText),
        PostgresException { SqlState: BodyNotOurs } => new InvalidOperationException(
            "The body was disposed of, or belongs to another entry.", exception),
        NpgsqlException or IOException or SocketException or TimeoutException => Explain(Classify(exception), exception, schema),
        _ => exception,
    };

    /// <summary>Whether it says that the schema is not the one that was found when the store was opened.</summary>
    public static bool IsOfSchema(Exception exception) => Classify(exception) == StoreFault.NotAStore;

    private static QueueStoreException Explain(StoreFault fault, Exception exception, string schema) =>
        new(fault, $"{Explain(fault, schema)} ({exception.Message.TrimEnd('.')})", exception);

    private static StoreFault Classify(Exception exception) => exception is PostgresException postgres
        ? postgres.SqlState switch
        {
            PostgresErrorCodes.DiskFull => StoreFault.Full,
            PostgresErrorCodes.ReadOnlySqlTransaction => StoreFault.ReadOnly,
            PostgresErrorCodes.InsufficientPrivilege => StoreFault.ReadOnly,
            PostgresErrorCodes.LockNotAvailable or PostgresErrorCodes.DeadlockDetected or PostgresErrorCodes.SerializationFailure
                => StoreFault.Locked,
            PostgresErrorCodes.InvalidSchemaName or PostgresErrorCodes.UndefinedTable or PostgresErrorCodes.UndefinedFunction
                or PostgresErrorCodes.UndefinedColumn or PostgresErrorCodes.UndefinedObject => StoreFault.NotAStore,
            PostgresErrorCodes.DataCorrupted or PostgresErrorCodes.IndexCorrupted => StoreFault.Corrupt,
            _ => StoreFault.Unavailable,
        }
        : StoreFault.Unavailable;

    private static string Explain(StoreFault fault, string schema) => fault switch
    {
        StoreFault.Full => "No space is left for the PostgreSQL server. Free some on its disk; what is queued already is safe.",
        StoreFault.ReadOnly =>
            "The PostgreSQL server takes no changes from this connection: it is a standby or set to read-only, or the role may not write. "
            + "Connect to the primary (Target Session Attributes=primary), with a role that was granted the store.",
        StoreFault.Locked =>
            $"Another session has held what the store needs in schema {schema} for too long. End it, or raise lock_timeout.",
        StoreFault.NotAStore => $"There is no store in schema {schema} of this database, or not all of it. Run: bgsync postgres migrate",
        StoreFault.Corrupt => "The PostgreSQL server has found damage in what it stores. Check its disk, and restore what it names.",
        _ => "The PostgreSQL server cannot be used; the inner exception tells why.",
    };
}
