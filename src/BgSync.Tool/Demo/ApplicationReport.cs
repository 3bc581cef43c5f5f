using System.Text.Json.Serialization;

namespace BgSync.Tool.Demo;

/// <summary>A report of the demo's application: a line of JSON on standard output.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "report")]
[JsonDerivedType(typeof(Started), "started")]
[JsonDerivedType(typeof(Answered), "answered")]
[JsonDerivedType(typeof(Queued), "queued")]
[JsonDerivedType(typeof(Failed), "failed")]
[JsonDerivedType(typeof(Entries), "entries")]
internal abstract record ApplicationReport
{
    /// <summary>The application runs and listens for commands.</summary>
    internal sealed record Started(int ProcessId) : ApplicationReport;

    /// <summary>The server answered the request.</summary>
    internal sealed record Answered(int Status) : ApplicationReport;

    /// <summary>The request could not be sent and stands in the queue.</summary>
    internal sealed record Queued(long EntryId) : ApplicationReport;

    /// <summary>The request was neither sent nor queued.</summary>
    internal sealed record Failed(string Reason) : ApplicationReport;

    /// <summary>The content of the queue.</summary>
    internal sealed record Entries(IReadOnlyList<EntryRow> Waiting, long DeadLetters) : ApplicationReport;
}
