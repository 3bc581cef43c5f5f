using Npgsql;

namespace BgSync.Http.PostgreSql;

/// <summary>A call that changes the store, with whoever waits for its result.</summary>
internal abstract class StoreOperation
{
    public required NpgsqlBatchCommand Command { get; init; }

    /// <summary>The locks that it takes; calls that are sent together lock all of theirs beforehand, in one order.</summary>
    public OperationLocks Locks { get; init; }

    /// <summary>How much it sends, roughly.</summary>
    public int Bytes { get; init; }

    /// <summary>Whether the connection once broke before its outcome was known, so that it may have run before.</summary>
    public bool MayHaveRun { get; set; }

    public abstract bool CancelIfAsked();

    /// <summary>Reads its result set; the result is told when the whole batch is committed.</summary>
    public abstract Task ReadAsync(NpgsqlDataReader reader);

    public abstract void Succeed();

    public abstract void Fail(Exception exception);
}
