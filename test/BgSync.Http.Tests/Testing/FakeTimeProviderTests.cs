using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Testing;

public sealed class FakeTimeProviderTests
{
    [Fact]
    public void Timers_fire_in_due_order_and_see_their_own_due_time()
    {
        var clock = new FakeTimeProvider();
        var start = clock.GetUtcNow();
        var fired = new List<(string Name, TimeSpan At)>();
        using var late = Timer("late", 2, Timeout.InfiniteTimeSpan);
        using var early = Timer("early", 1, Timeout.InfiniteTimeSpan);
        using var periodic = Timer("periodic", 1.5, TimeSpan.FromSeconds(1));

        clock.Advance(TimeSpan.FromSeconds(3));

        Assert.Equal(
            [
                ("early", TimeSpan.FromSeconds(1)),
                ("periodic", TimeSpan.FromSeconds(1.5)),
                ("late", TimeSpan.FromSeconds(2)),
                ("periodic", TimeSpan.FromSeconds(2.5)),
            ],
            fired);
        Assert.Equal(start + TimeSpan.FromSeconds(3), clock.GetUtcNow());
        Assert.Equal(TimeSpan.FromSeconds(3), clock.GetElapsedTime(0));
        Assert.Equal(1, clock.PendingTimers);

        ITimer Timer(string name, double due, TimeSpan period) =>
            clock.CreateTimer(_ => fired.Add((name, clock.GetUtcNow() - start)), null, TimeSpan.FromSeconds(due), period);
    }

    [Fact]
    public async Task A_delay_ends_when_time_has_passed()
    {
        var clock = new FakeTimeProvider();
        var delay = Task.Delay(TimeSpan.FromMinutes(1), clock, TestContext.Current.CancellationToken);

        clock.Advance(TimeSpan.FromSeconds(59));
        Assert.False(delay.IsCompleted);

        clock.Advance(TimeSpan.FromSeconds(1));
        await delay;
    }

    [Fact]
    public void A_disposed_timer_does_not_fire()
    {
        var clock = new FakeTimeProvider();
        var fired = false;
        clock.CreateTimer(_ => fired = true, null, TimeSpan.FromSeconds(1), Timeout.InfiniteTimeSpan).Dispose();

        clock.Advance(TimeSpan.FromSeconds(2));

        Assert.False(fired);
        Assert.Equal(0, clock.PendingTimers);
    }
}
