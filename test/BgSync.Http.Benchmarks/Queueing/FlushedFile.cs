namespace BgSync.Http.Benchmarks.Queueing;

/// <summary>A plain file that is appended to and flushed: what the disk itself takes.</summary>
internal sealed class FlushedFile(string folder) : IDisposable
{
    private readonly FileStream _file = new(
        Path.Combine(folder, "plain"), FileMode.Append, FileAccess.Write, FileShare.Read, bufferSize: 0);

    public ValueTask AppendAsync(byte[] bytes)
    {
        _file.Write(bytes);
        _file.Flush(flushToDisk: true);
        return ValueTask.CompletedTask;
    }

    public void Dispose() => _file.Dispose();
}
