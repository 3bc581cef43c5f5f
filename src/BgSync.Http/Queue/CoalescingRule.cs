namespace BgSync.Http.Queue;

/// <summary>Which requests of a queue may be made one, and how.</summary>
/// <param name="Key">The key of a request.</param>
/// <param name="Always">The answer where no function is asked.</param>
/// <param name="Merge">The function that is asked; <see langword="null"/> when there is none.</param>
internal sealed record CoalescingRule(
    Func<HttpRequestMessage, string?> Key,
    Coalescing Always,
    Func<CoalescingContext, CancellationToken, Task<Coalescing>>? Merge = null);
