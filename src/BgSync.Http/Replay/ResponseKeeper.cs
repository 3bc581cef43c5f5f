using System.Buffers;
using BgSync.Http.Capture;
using BgSync.Http.Outcomes;

namespace BgSync.Http.Replay;

/// <summary>
/// Reads of a response what is to be kept, and leaves it so that all of it can still be read. Never throws: what became of the entry is
/// known, and must be written down.
/// </summary>
internal sealed class ResponseKeeper(BackgroundSyncOptions options, Func<TimeSpan> attemptTimeout, TimeProvider timeProvider)
{
    private const int Shortest = 256;
    private const int Chunk = 4096;

    /// <summary>How long a body may take where an attempt may take for ever.</summary>
    private static readonly TimeSpan _longest = TimeSpan.FromSeconds(100);

    /// <summary>Reads the start of a response's body. One that breaks off, or does not come in the time of an attempt, is cut there.</summary>
    /// <returns><see langword="null"/> when no more than the status is to be kept.</returns>
    public async Task<StoredResponse?> KeepAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        if (options.Receipts.ResponseBodyLength == 0)
        {
            return null;
        }

        var headers = HeadersOf(response);
        var start = new ArrayBufferWriter<byte>((int)Math.Clamp(response.Content.Headers.ContentLength + 1 ?? Shortest, Shortest, Chunk));
        Stream? body = null;
        Exception? failure = null;
        var isWhole = false;
        using var attempt = BeginAttempt(cancellationToken);
        try
        {
            body = await response.Content.ReadAsStreamAsync(attempt.Token).ConfigureAwait(false);
            isWhole = await ReadToEndAsync(body, start, attempt.Token).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            failure = attempt.Explain(e);
        }

        response.Content = new ResponseContent(new(start.WrittenMemory, body, failure), response.Content);
        var kept = start.WrittenMemory[..Math.Min(start.WrittenCount, options.Receipts.ResponseBodyLength)];
        return new((int)response.StatusCode, headers, kept, isWhole);
    }

    /// <summary>Reads all of a response into the memory, as a client does, so that it can be read more than once.</summary>
    public async Task BufferAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        using var attempt = BeginAttempt(cancellationToken);
        try
        {
            await response.Content.LoadIntoBufferAsync(attempt.Token).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            // Whoever reads it is told.
            response.Content = new ResponseContent(new(default, null, attempt.Explain(e)), response.Content);
        }
    }

    /// <returns>Whether it has come to the end: one byte more than is kept is read to see it.</returns>
    private async Task<bool> ReadToEndAsync(Stream body, ArrayBufferWriter<byte> start, CancellationToken cancellationToken)
    {
        while (start.WrittenCount <= options.Receipts.ResponseBodyLength)
        {
            var space = start.GetMemory(1);
            space = space[..Math.Min(space.Length, options.Receipts.ResponseBodyLength + 1 - start.WrittenCount)];
            var count = await body.ReadAsync(space, cancellationToken).ConfigureAwait(false);
            if (count == 0)
            {
                return true;
            }

            start.Advance(count);
        }

        return false;
    }

    private Attempt BeginAttempt(CancellationToken cancellationToken)
    {
        var limit = attemptTimeout();
        return new(limit == Timeout.InfiniteTimeSpan ? _longest : limit, timeProvider, cancellationToken);
    }

    /// <summary>What is no secret, nor one of the connection; a cookie is the client's to keep.</summary>
    private List<KeyValuePair<string, string>> HeadersOf(HttpResponseMessage response) =>
    [
        .. HeaderCapture.Copy(response.Headers, options.Capture.SecretHeaders)
            .Concat(HeaderCapture.Copy(response.Content.Headers, options.Capture.SecretHeaders))
            .Where(static header => !header.Key.Equals("Set-Cookie", StringComparison.OrdinalIgnoreCase)),
    ];
}
