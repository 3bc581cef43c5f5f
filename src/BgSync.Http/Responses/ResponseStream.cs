using System.Runtime.ExceptionServices;

namespace BgSync.Http.Responses;

/// <summary>The body of a response: what was read of it before, then the rest, or the failure at which it ends.</summary>
/// <param name="start">The bytes that were read before.</param>
/// <param name="rest">Where it goes on; <see langword="null"/> where it does not.</param>
/// <param name="failure">The failure that is thrown after the start; <see langword="null"/> when it can be read on, or is whole.</param>
internal sealed class ResponseStream(ReadOnlyMemory<byte> start, Stream? rest, Exception? failure) : OneWayStream
{
    private ReadOnlyMemory<byte> _start = start;
    private Exception? _failure = failure;

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (_start.Length > 0)
        {
            var count = Math.Min(_start.Length, buffer.Length);
            _start[..count].CopyTo(buffer);
            _start = _start[count..];
            return count;
        }

        if (_failure is not null)
        {
            ExceptionDispatchInfo.Throw(_failure);
        }

        try
        {
            return rest is null ? 0 : await rest.ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            // A connection that broke off reads as ended the next time.
            _failure = e;
            throw;
        }
    }
}
