using BgSync.Http.Capture;
using BgSync.Http.Outcomes;

namespace BgSync.Http.Queue;

/// <summary>The body of a request, in memory or in a temporary file, for a function of the application that may read it.</summary>
internal sealed class SpooledBody(BackgroundSyncOptions options) : IDisposable
{
    private readonly BodySpool _spool = new(options.Capture.InlineBodyLength, options.Limits.MaxBodyLength);

    /// <summary>Copies a body.</summary>
    /// <exception cref="BodyNotRepeatableException">The body could not be read, or kept.</exception>
    public async Task FillAsync(RepeatableBody source, Attempt write)
    {
        var writer = new SpoolWriter(_spool, write.Restart);
        await using var closing = writer.ConfigureAwait(false);
        await source.CopyOnceMoreAsync(writer, write.Restart, write.Token).ConfigureAwait(false);
    }

    /// <summary>The body as content, each time from its beginning.</summary>
    public StoredContent ToContent() => new(_ => new(_spool.OpenView()), _spool.Length);

    public void Dispose() => _spool.Dispose();
}
