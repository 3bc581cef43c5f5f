namespace BgSync.Http.Queues;

/// <summary>Why a request that failed was not queued although its route is watched.</summary>
public static class NotQueued
{
    private const string Key = "BgSync.Http.NotQueued";

    /// <summary>The reason, from the failure that the caller got; <see langword="null"/> when there is none.</summary>
    /// <remarks>The failure is the original one, untouched but for this note in its <see cref="Exception.Data"/>.</remarks>
    public static string? ReasonOf(Exception failure)
    {
        ArgumentNullException.ThrowIfNull(failure);
        return failure.Data[Key] as string;
    }

    internal static void Note(Exception failure, string reason) => failure.Data[Key] = reason;
}
