using System.Diagnostics;

namespace BgSync.Http.Diagnostics;

/// <summary>The traces of the replay.</summary>
internal static class ReplayActivities
{
    private static readonly ActivitySource _source = new("BgSync.Http");

    /// <summary>Begins the trace of an attempt at an entry.</summary>
    public static Activity? Start(QueuedEntry entry)
    {
        // A new root with a link: hours may lie between the live attempt and this one.
        ActivityLink[] links = ActivityContext.TryParse(entry.TraceParent, null, isRemote: true, out var live) ? [new(live)] : [];
        return _source.StartActivity(ActivityKind.Producer, default, links: links, name: $"bgsync replay {entry.Queue}");
    }
}
