namespace BgSync.Http;

/// <summary>The parts of a request that a queue keeps (<see cref="BackgroundSyncOptions.Capture"/>).</summary>
/// <remarks>Bound from the nested configuration section <c>Capture</c>. Not to be changed once the application runs.</remarks>
public sealed class BackgroundSyncCaptureOptions
{
    /// <summary>
    /// The headers that are never written down. Default: <c>Authorization</c>, <c>Cookie</c> and <c>Proxy-Authorization</c>. On
    /// replay the client's default headers, the handlers inside this one and <see cref="BackgroundSyncOptions.OnReplaying"/> supply them.
    /// </summary>
    public ISet<string> SecretHeaders { get; } =
        new HashSet<string>(["Authorization", "Cookie", "Proxy-Authorization"], StringComparer.OrdinalIgnoreCase);

    /// <summary>
    /// The largest body, in bytes, that is kept in memory and beside its entry; a larger one goes to and from the disk in chunks.
    /// Default: 64 KiB. Range: 0 to 1 MiB.
    /// </summary>
    public int InlineBodyLength { get; set; } = 64 * 1024;

    /// <summary>
    /// The names of the <see cref="HttpRequestMessage.Options"/> that are written down with a request and given back to the handlers inside
    /// at each replay, such as the tenant that a token is chosen by. Default: none.
    /// </summary>
    /// <remarks>
    /// A value is a text, a <see cref="bool"/>, an <see cref="int"/>, a <see cref="long"/>, a <see cref="double"/>, a <see cref="Guid"/>, a
    /// <see cref="DateTimeOffset"/> or a <see cref="Uri"/>; a request with any other is not queued. The values stand in
    /// <see cref="QueuedEntry.Metadata"/> under <c>option:</c> and the name, so let them hold no secret.
    /// </remarks>
    public ISet<string> Options { get; } = new HashSet<string>(StringComparer.Ordinal);
}
