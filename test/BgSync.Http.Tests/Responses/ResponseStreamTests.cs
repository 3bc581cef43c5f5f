using BgSync.Http.Responses;
using Xunit;

namespace BgSync.Http.Tests.Responses;

/// <summary>A body that was read in part before.</summary>
public sealed class ResponseStreamTests
{
    [Fact]
    public async Task A_body_that_has_failed_never_seems_to_be_over()
    {
        await using var body = new ResponseStream("start"u8.ToArray(), new BrokenOnce(), failure: null);
        var read = new byte[10];
        Assert.Equal(5, await body.ReadAsync(read, TestContext.Current.CancellationToken));

        for (var i = 0; i < 2; i++)
        {
            await Assert.ThrowsAsync<IOException>(() => body.CopyToAsync(Stream.Null, TestContext.Current.CancellationToken));
        }
    }

    /// <summary>Reads as ended once it has failed, as a connection may.</summary>
    private sealed class BrokenOnce : OneWayStream
    {
        private bool _isBroken;

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (_isBroken)
            {
                return ValueTask.FromResult(0);
            }

            _isBroken = true;
            throw new IOException("Broken.");
        }
    }
}
