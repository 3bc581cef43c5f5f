namespace BgSync.Http.PostgreSql;

/// <summary>The locks that an operation is known to take.</summary>
/// <param name="LimitedQueue">The queue whose limits it keeps.</param>
/// <param name="Lane">A lane.</param>
/// <param name="Id">The entry or request written ahead whose lane it is.</param>
/// <param name="LeaseToken">The token of the lease that a lane is under.</param>
/// <param name="AreWide">Whether it locks lanes that nobody knows beforehand, so that it is sent alone.</param>
internal readonly record struct OperationLocks(
    string? LimitedQueue = null,
    (string Queue, string Name)? Lane = null,
    long? Id = null,
    Guid? LeaseToken = null,
    bool AreWide = false)
{
    public bool IsNone => this == default;
}
