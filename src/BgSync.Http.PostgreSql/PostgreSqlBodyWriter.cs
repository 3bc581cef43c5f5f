using BgSync.Http.Storage;
using BgSync.Http.Storage.Format;

namespace BgSync.Http.PostgreSql;

/// <summary>Writes a body in chunks, each of them committed before a call returns.</summary>
internal sealed class PostgreSqlBodyWriter(PostgreSqlWriter writer, string schema, long id) : IStoredBodyWriter
{
    private int _chunks;

    public long Id => id;

    public long Length { get; private set; }

    public async ValueTask WriteAsync(ReadOnlyMemory<byte> chunk, CancellationToken cancellationToken)
    {
        for (; !chunk.IsEmpty; _chunks++)
        {
            var part = chunk[..Math.Min(chunk.Length, ChunkedBody.ChunkSize)];
            var call = new FunctionCall(schema, "append_chunk")
                .Add((long?)id).Add((int?)_chunks).Add((long?)ChunkedBody.Checksum(part.Span, id, _chunks))
                .Add((ReadOnlyMemory<byte>?)part);
            await writer.RunAsync(call, static _ => Task.FromResult(true), cancellationToken, bytes: part.Length).ConfigureAwait(false);
            Length += part.Length;
            chunk = chunk[part.Length..];
        }
    }

    public async ValueTask DisposeAsync()
    {
        try
        {
            var call = new FunctionCall(schema, "abandon_body").Add((long?)id);
            await writer.RunAsync(call, static _ => Task.FromResult(true), CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is QueueStoreException or ObjectDisposedException)
        {
            // An abandoned body is swept when its owner is gone; the caller has an exception of its own to tell of.
        }
    }
}
