namespace BgSync.Tool.Demo;

/// <summary>A request that the server read to its end.</summary>
/// <param name="Path">The path it was sent to.</param>
/// <param name="IdempotencyKey">Its key; the empty string when it had none.</param>
/// <param name="Sha256">The hash of its body, in hexadecimal.</param>
internal sealed record Arrival(string Path, string IdempotencyKey, string Sha256);
