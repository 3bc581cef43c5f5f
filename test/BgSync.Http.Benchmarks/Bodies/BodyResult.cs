using System.Text.Json;

namespace BgSync.Http.Benchmarks.Bodies;

/// <summary>The result of a process that has queued bodies and sent them.</summary>
/// <param name="QueueSeconds">How long the queueing took.</param>
/// <param name="ReplaySeconds">How long the replay took.</param>
/// <param name="IdleBytes">Its memory before.</param>
/// <param name="PeakBytes">The most memory it had meanwhile.</param>
/// <param name="WrittenBytes">The bytes that it wrote to the disk until its store was closed.</param>
internal sealed record BodyResult(double QueueSeconds, double ReplaySeconds, long IdleBytes, long PeakBytes, long WrittenBytes)
{
    public static BodyResult Parse(string line) => JsonSerializer.Deserialize<BodyResult>(line)!;

    public override string ToString() => JsonSerializer.Serialize(this);
}
