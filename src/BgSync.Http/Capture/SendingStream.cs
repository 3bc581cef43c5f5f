using System.Runtime.ExceptionServices;

namespace BgSync.Http.Capture;

/// <summary>
/// The stream that a body is written to on its way out: in parts, each of which is reported, and into its copy as well where one is
/// made. When the network fails such a body is read to its end all the same, into the copy alone, and the failure is thrown afterwards.
/// </summary>
/// <param name="network">The destination.</param>
/// <param name="progress">Told of each part that was written to the destination or, after that has failed, to the copy.</param>
/// <param name="copying">The content that keeps a copy; <see langword="null"/> where none is made.</param>
/// <param name="networkToken">The transport's cancel, which does not end the reading of the body.</param>
internal sealed class SendingStream(Stream network, IProgress<int> progress, LiveContent? copying, CancellationToken networkToken)
    : OneWayStream
{
    /// <summary>The largest part that is written at a time.</summary>
    public const int PartLength = 64 * 1024;

    private ExceptionDispatchInfo? _networkFailure;

    public override bool CanWrite => true;

    /// <summary>How much was written to it.</summary>
    public long Written { get; private set; }

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
        SendAsync(buffer, isFlush: false, isAsync: true);

    public override void Write(byte[] buffer, int offset, int count) =>
        SendAsync(buffer.AsMemory(offset, count), isFlush: false, isAsync: false).AsTask().GetAwaiter().GetResult();

    public override Task FlushAsync(CancellationToken cancellationToken) => SendAsync(default, isFlush: true, isAsync: true).AsTask();

    public override void Flush() => SendAsync(default, isFlush: true, isAsync: false).AsTask().GetAwaiter().GetResult();

    /// <summary>Throws the failure of the network, if there was one.</summary>
    public void ThrowIfFailed() => _networkFailure?.Throw();

    private async ValueTask SendAsync(ReadOnlyMemory<byte> bytes, bool isFlush, bool isAsync)
    {
        Written += bytes.Length;
        copying?.Keep(bytes.Span);
        do
        {
            var part = bytes[..Math.Min(bytes.Length, PartLength)];
            bytes = bytes[part.Length..];
            if (_networkFailure is null)
            {
                try
                {
                    await PassOnAsync(part, isFlush, isAsync).ConfigureAwait(false);
                }
                catch (Exception e)
                {
                    _networkFailure = ExceptionDispatchInfo.Capture(e);
                }
            }

            // To read on makes sense only while there is a copy to complete and somebody who may want it.
            if (copying is not { IsCopyWanted: true })
            {
                ThrowIfFailed();
            }

            if (!isFlush)
            {
                progress.Report(part.Length);
            }
        }
        while (!bytes.IsEmpty);
    }

    private ValueTask PassOnAsync(ReadOnlyMemory<byte> part, bool isFlush, bool isAsync)
    {
        if (isAsync)
        {
            return isFlush ? new(network.FlushAsync(networkToken)) : network.WriteAsync(part, networkToken);
        }

        if (isFlush)
        {
            network.Flush();
        }
        else
        {
            network.Write(part.Span);
        }

        return default;
    }
}
