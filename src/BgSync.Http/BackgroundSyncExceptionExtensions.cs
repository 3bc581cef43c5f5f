namespace System;

/// <summary>Reads the queue's word on a failure that a caller got.</summary>
public static class BackgroundSyncExceptionExtensions
{
    private const string Key = "BgSync.Http.NotQueued";

    /// <summary>
    /// The reason for which a request that failed was not queued although its route is watched; <see langword="null"/> when there is
    /// none.
    /// </summary>
    /// <remarks>The failure is the original one, untouched but for this note in its <see cref="Exception.Data"/>.</remarks>
    public static string? GetNotQueuedReason(this Exception exception)
    {
        ArgumentNullException.ThrowIfNull(exception);
        return exception.Data[Key] as string;
    }

    internal static void SetNotQueuedReason(this Exception exception, string reason) => exception.Data[Key] = reason;
}
