namespace BgSync.Http.TestApp;

/// <summary>An item that the server read to its end.</summary>
/// <param name="Item">The item.</param>
/// <param name="IdempotencyKey">The key of the request.</param>
/// <param name="Sender">The process that sent it, which need not be the one that queued it.</param>
/// <param name="IsWhole">Whether the body is what it must be.</param>
public sealed record Arrival(Item Item, string IdempotencyKey, string Sender, bool IsWhole);
