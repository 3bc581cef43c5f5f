namespace BgSync.Http;

/// <summary>An entry cannot wait for the one that it names as its prerequisite; nothing was sent, queued or changed.</summary>
public sealed class PrerequisiteException : InvalidOperationException
{
    internal PrerequisiteException(string message)
        : base(message)
    {
    }

    internal static PrerequisiteException Behind(long id) => new(
        $"An entry can wait only for one that stands before it, and entry {id} does not.");

    internal static PrerequisiteException Unknown(string queue, long id) => new(
        $"Queue '{queue}' has no entry {id} to wait for: it is of another queue, was removed, or was delivered so long ago that its "
        + "receipt is gone.");

    internal static PrerequisiteException Dead(string queue, long id, DeadLetterCause? cause) => new(
        $"Entry {id} of queue '{queue}' cannot be waited for, because it is a dead letter ({cause}). Put it back first.");
}
