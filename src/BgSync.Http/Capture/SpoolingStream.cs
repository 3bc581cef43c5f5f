using System.Runtime.ExceptionServices;

namespace BgSync.Http.Capture;

/// <summary>
/// Where a body that can be read only once is written to: to the network, and to a spool. When the network fails the body is read
/// to its end all the same, into the spool alone, and the failure is thrown afterwards.
/// </summary>
internal sealed class SpoolingStream(
    Stream network, BodySpool spool, Func<bool> onSpooled, CancellationToken networkToken)
    : WriteOnlyStream
{
    private Exception? _networkFailure;

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        spool.Write(buffer.Span);
        if (_networkFailure is null)
        {
            try
            {
                await network.WriteAsync(buffer, networkToken).ConfigureAwait(false);
            }
            catch (Exception e)
            {
                _networkFailure = e;
            }
        }

        ThrowIfPointless();
    }

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        spool.Write(buffer);
        if (_networkFailure is null)
        {
            try
            {
                network.Write(buffer);
            }
            catch (Exception e)
            {
                _networkFailure = e;
            }
        }

        ThrowIfPointless();
    }

    public override async Task FlushAsync(CancellationToken cancellationToken)
    {
        if (_networkFailure is null)
        {
            await network.FlushAsync(networkToken).ConfigureAwait(false);
        }
    }

    public override void Flush()
    {
        if (_networkFailure is null)
        {
            network.Flush();
        }
    }

    /// <summary>Throws what the network said, once the body was read to its end.</summary>
    public void ThrowIfFailed()
    {
        if (_networkFailure is not null)
        {
            ExceptionDispatchInfo.Throw(_networkFailure);
        }
    }

    /// <summary>Reading on makes sense only while there is a copy to complete and somebody who may want it.</summary>
    private void ThrowIfPointless()
    {
        if (!onSpooled() || spool.Failure is not null)
        {
            ThrowIfFailed();
        }
    }
}
