namespace BgSync.Http.Storage.Format;

/// <summary>An inline body of an entry whose checksum is wrong.</summary>
internal sealed class DamagedBodyStream : OneWayStream
{
    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        throw new InvalidDataException("The body's entry is damaged: what is stored is not what was written.");
}
