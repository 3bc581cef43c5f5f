namespace BgSync.Http.Capture;

/// <summary>Writes a body into a spool.</summary>
/// <exception cref="BodyNotRepeatableException">The spool could not keep it.</exception>
internal sealed class SpoolWriter(BodySpool spool, Action progress) : OneWayStream
{
    public override bool CanWrite => true;

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        Write(buffer.Span);
        return ValueTask.CompletedTask;
    }

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        progress();
        spool.Write(buffer);
        if (spool.Failure is { } reason)
        {
            throw new BodyNotRepeatableException(reason);
        }
    }}
