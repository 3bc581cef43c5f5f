using BgSync.Http.Diagnostics;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace BgSync.Http.Tests.Diagnostics;

/// <summary>The clock of the library is never set back.</summary>
public sealed class SteadyTimeTests
{
    private readonly FakeTimeProvider _monotonic = new();

    [Theory]
    [InlineData(-1)]
    [InlineData(-24 * 365)]
    public void Clock_set_back_goes_on_at_the_pace_of_the_timer(int hours)
    {
        var system = new SteppingClock(_monotonic);
        var steady = new SteadyTime(system);
        var start = steady.GetUtcNow();

        system.Offset = TimeSpan.FromHours(hours);
        _monotonic.Advance(TimeSpan.FromSeconds(10));

        Assert.Equal(start + TimeSpan.FromSeconds(10), steady.GetUtcNow());
    }

    [Fact]
    public void Clock_that_jumps_forward_is_followed()
    {
        var system = new SteppingClock(_monotonic);
        var steady = new SteadyTime(system);

        system.Offset = TimeSpan.FromHours(5);

        Assert.Equal(system.GetUtcNow(), steady.GetUtcNow());
        system.Offset = TimeSpan.Zero;
        Assert.Equal(system.GetUtcNow() + TimeSpan.FromHours(5), steady.GetUtcNow());
    }

    private sealed class SteppingClock(FakeTimeProvider inner) : TimeProvider
    {
        public TimeSpan Offset { get; set; }

        public override long TimestampFrequency => inner.TimestampFrequency;

        public override DateTimeOffset GetUtcNow() => inner.GetUtcNow() + Offset;

        public override long GetTimestamp() => inner.GetTimestamp();
    }
}
