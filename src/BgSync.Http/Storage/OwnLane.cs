namespace BgSync.Http.Storage;

/// <summary>
/// The lane that an entry has for itself once it has left the one it was queued in (<see cref="Outcomes.Settlement.Retry.LeavesLane"/>).
/// </summary>
internal static class OwnLane
{
    public static string NameFor(string lane, long id) => Is(lane, id) ? lane : $"{lane}#{id}";

    /// <summary>Whether a lane is the entry's own already.</summary>
    public static bool Is(string lane, long id) => lane.EndsWith($"#{id}", StringComparison.Ordinal);
}
