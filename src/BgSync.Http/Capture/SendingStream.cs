using System.Runtime.ExceptionServices;

namespace BgSync.Http.Capture;

/// <summary>
/// The stream that a body is written to on its way out: in parts, each of which is reported, and into a spool as well where a copy is
/// made. When the network fails such a body is read to its end all the same, into the spool alone, and the failure is thrown afterwards.
/// </summary>
/// <param name="network">The destination.</param>
/// <param name="spool">The copy; <see langword="null"/> where none is made.</param>
/// <param name="content">The content that is sent, to be told of its progress.</param>
/// <param name="networkToken">The transport's cancel, which does not end the reading of the body.</param>
internal sealed class SendingStream(Stream network, BodySpool? spool, ObservedContent? content, CancellationToken networkToken)
    : OneWayStream
{
    /// <summary>The largest part that is written at a time.</summary>
    public const int PartLength = 64 * 1024;

    private Exception? _networkFailure;

    public override bool CanWrite => true;

    /// <summary>How much was written to it.</summary>
    public long Written { get; private set; }

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        Copy(buffer.Span);
        try
        {
            while (_networkFailure is null)
            {
                var part = buffer[..Math.Min(buffer.Length, PartLength)];
                await network.WriteAsync(part, networkToken).ConfigureAwait(false);
                content?.OnMoved();
                buffer = buffer[part.Length..];
                if (buffer.IsEmpty)
                {
                    break;
                }
            }
        }
        catch (Exception e)
        {
            _networkFailure = e;
        }

        ThrowIfPointless();
    }

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        Copy(buffer);
        try
        {
            while (_networkFailure is null)
            {
                var part = buffer[..Math.Min(buffer.Length, PartLength)];
                network.Write(part);
                content?.OnMoved();
                buffer = buffer[part.Length..];
                if (buffer.IsEmpty)
                {
                    break;
                }
            }
        }
        catch (Exception e)
        {
            _networkFailure = e;
        }

        ThrowIfPointless();
    }

    public override async Task FlushAsync(CancellationToken cancellationToken)
    {
        try
        {
            if (_networkFailure is null)
            {
                await network.FlushAsync(networkToken).ConfigureAwait(false);
            }
        }
        catch (Exception e)
        {
            _networkFailure = e;
        }

        ThrowIfPointless();
    }

    public override void Flush()
    {
        try
        {
            if (_networkFailure is null)
            {
                network.Flush();
            }
        }
        catch (Exception e)
        {
            _networkFailure = e;
        }

        ThrowIfPointless();
    }

    /// <summary>Throws the failure of the network, if there was one.</summary>
    public void ThrowIfFailed()
    {
        if (_networkFailure is not null)
        {
            ExceptionDispatchInfo.Throw(_networkFailure);
        }
    }

    private void Copy(ReadOnlySpan<byte> buffer)
    {
        Written += buffer.Length;
        spool?.Write(buffer);
    }

    /// <summary>Reading on makes sense only while there is a copy to complete and somebody who may want it.</summary>
    private void ThrowIfPointless()
    {
        var isWanted = spool is not null && content!.OnRead() && spool.Failure is null;
        if (!isWanted)
        {
            ThrowIfFailed();
        }
    }
}
