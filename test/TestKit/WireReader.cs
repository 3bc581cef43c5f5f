using System.Text;

namespace TestKit;

/// <summary>Reads lines and blocks from a connection, and never more of it than they need plus one buffer.</summary>
internal sealed class WireReader(Stream stream)
{
    private readonly byte[] _buffer = new byte[16 * 1024];
    private int _start;
    private int _end;

    /// <summary>Waits for the next byte, without taking it.</summary>
    /// <returns><see langword="false"/> when the peer has closed.</returns>
    public async Task<bool> WaitForDataAsync(CancellationToken cancellationToken)
    {
        if (_start == _end)
        {
            _start = 0;
            _end = await stream.ReadAsync(_buffer, cancellationToken);
        }

        return _start < _end;
    }

    /// <summary>Reads up to a line feed; the line is returned without its end.</summary>
    public async Task<string> ReadLineAsync(CancellationToken cancellationToken)
    {
        var line = new StringBuilder();
        while (true)
        {
            await NeedDataAsync(cancellationToken);
            var unread = _buffer.AsSpan(_start, _end - _start);
            var lineFeed = unread.IndexOf((byte)'\n');
            var taken = lineFeed < 0 ? unread.Length : lineFeed + 1;
            line.Append(Encoding.Latin1.GetString(unread[..taken]));
            _start += taken;
            if (lineFeed >= 0)
            {
                return line.ToString().TrimEnd('\r', '\n');
            }
        }
    }

    /// <summary>Reads a block of a known length.</summary>
    public async Task<byte[]> ReadBlockAsync(int length, CancellationToken cancellationToken)
    {
        using var block = new MemoryStream(length);
        await CopyToAsync(block, length, cancellationToken);
        return block.ToArray();
    }

    /// <summary>Copies a known number of bytes; when the peer closes before that, what had arrived has been copied.</summary>
    public async Task CopyToAsync(Stream destination, long length, CancellationToken cancellationToken)
    {
        while (length > 0)
        {
            await NeedDataAsync(cancellationToken);
            var taken = (int)Math.Min(length, _end - _start);
            destination.Write(_buffer.AsSpan(_start, taken));
            _start += taken;
            length -= taken;
        }
    }

    private async Task NeedDataAsync(CancellationToken cancellationToken)
    {
        if (!await WaitForDataAsync(cancellationToken))
        {
            throw new EndOfStreamException("The client closed the connection.");
        }
    }
}
