namespace BgSync.Http;

/// <summary>The kept part of a server's response to an entry.</summary>
/// <param name="StatusCode">The status.</param>
/// <param name="Headers">The headers, those of the content included, in their order and one for each value.</param>
/// <param name="Body">The body, or its start.</param>
/// <param name="IsWhole">Whether <paramref name="Body"/> is all of it: it was neither cut nor did it break off.</param>
public sealed record StoredResponse(
    int StatusCode, IReadOnlyList<KeyValuePair<string, string>> Headers, ReadOnlyMemory<byte> Body, bool IsWhole);
