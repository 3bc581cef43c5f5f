namespace BgSync.Http.Queue;

/// <summary>Which requests of a queue may be made one, and how.</summary>
/// <param name="Key">The key of a request.</param>
/// <param name="Always">The answer that needs no asking.</param>
/// <param name="Merge">Whoever is to be asked otherwise.</param>
internal sealed record CoalescingRule(
    Func<HttpRequestMessage, string?> Key,
    Coalescing Always,
    Func<CoalescingContext, CancellationToken, Task<Coalescing>>? Merge = null);
