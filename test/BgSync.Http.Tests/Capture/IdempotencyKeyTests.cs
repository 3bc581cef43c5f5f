using System.Buffers.Binary;
using BgSync.Http.Capture;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace BgSync.Http.Tests.Capture;

public sealed class IdempotencyKeyTests
{
    [Fact]
    public void A_key_is_a_UUID_of_version_7_that_bears_the_time()
    {
        var clock = new FakeTimeProvider();
        var bytes = NewKey(clock).ToByteArray(bigEndian: true);

        Assert.Equal(clock.GetUtcNow().ToUnixTimeMilliseconds(), BinaryPrimitives.ReadInt64BigEndian(bytes) >> 16);
        Assert.Equal((0x7, 0b10), (bytes[6] >> 4, bytes[8] >> 6));
    }

    [Fact]
    public void No_two_keys_are_the_same_also_when_many_threads_mint_them_at_one_time()
    {
        var clock = new FakeTimeProvider();
        var keys = ParallelEnumerable.Range(0, 10_000).Select(_ => NewKey(clock)).ToHashSet();

        Assert.Equal(10_000, keys.Count);
    }

    [Fact]
    public void All_bits_that_say_nothing_else_are_random()
    {
        var clock = new FakeTimeProvider();
        var (always, ever) = (UInt128.MaxValue, UInt128.Zero);
        for (var i = 0; i < 1_000; i++)
        {
            var key = BinaryPrimitives.ReadUInt128BigEndian(NewKey(clock).ToByteArray(bigEndian: true));
            always &= key;
            ever |= key;
        }

        // 48 of the time, 4 of the version, 2 of the variant.
        Assert.Equal(128 - 54, (int)UInt128.PopCount(always ^ ever));
    }

    private static Guid NewKey(FakeTimeProvider clock)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "http://127.0.0.1/");
        IdempotencyKey.Ensure(request, "Idempotency-Key", IdempotencyKeyFormat.Bare, clock);
        return Guid.Parse(Assert.Single(request.Headers.GetValues("Idempotency-Key")));
    }
}
