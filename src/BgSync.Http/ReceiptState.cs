namespace BgSync.Http;

/// <summary>The state of an entry, ended or not.</summary>
public enum ReceiptState
{
    /// <summary>It waits in its queue, or is being sent.</summary>
    Queued = 0,

    /// <summary>The server has it.</summary>
    Delivered = 1,

    /// <summary>It was not delivered: it is a dead letter, or was one.</summary>
    DeadLettered = 2,
}
