namespace BgSync.Http.Storage;

/// <summary>When the lanes whose heads go to an origin are due.</summary>
/// <param name="Origin">Scheme, host and port.</param>
/// <param name="DueAt">The earliest time at which one of them may be leased; for a leased one, when its lease ends.</param>
internal readonly record struct OriginSchedule(string Origin, DateTimeOffset DueAt);
