namespace BgSync.Http.PostgreSql;

/// <summary>What an operation is known to lock.</summary>
/// <param name="LimitedQueue">The queue whose limits it keeps.</param>
/// <param name="Lane">A lane.</param>
/// <param name="HeadId">The entry that heads a lane.</param>
internal readonly record struct OperationLocks(
    string? LimitedQueue = null, (string Queue, string Name)? Lane = null, long? HeadId = null)
{
    public bool IsNone => this == default;
}
