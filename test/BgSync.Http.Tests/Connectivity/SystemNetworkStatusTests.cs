using BgSync.Http.Connectivity;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace BgSync.Http.Tests.Connectivity;

public class SystemNetworkStatusTests
{
    private static readonly AsyncLocal<string?> _ambient = new();

    private readonly List<NetworkSignal> _signals = [];

    [Fact]
    public void Every_change_but_the_loss_of_the_network_is_a_signal()
    {
        var events = new FakeNetworkEvents();
        using var subscription = Status(events).Subscribe(_signals.Add);

        events.ChangeAvailability(true);
        events.ChangeAvailability(true);
        events.ChangeAvailability(false);
        events.ChangeAddress();

        Assert.Equal([NetworkSignal.Available, NetworkSignal.Available, NetworkSignal.AddressChanged], _signals);
    }

    [Fact]
    public void A_platform_without_AvailabilityChanged_still_signals_addresses()
    {
        var events = new FakeNetworkEvents { SupportsAvailabilityChanged = false };
        var log = new ListLogger();
        using (new SystemNetworkStatus(events, log).Subscribe(_signals.Add))
        {
            events.ChangeAddress();
        }

        Assert.Equal([NetworkSignal.AddressChanged], _signals);
        Assert.Equal([(5000, LogLevel.Information)], log.Entries);
        Assert.Equal(0, events.HandlerCount);
    }

    [Fact]
    public void A_platform_without_AddressChanged_still_signals_availability()
    {
        var events = new FakeNetworkEvents { SupportsAddressChanged = false };
        var log = new ListLogger();
        using (new SystemNetworkStatus(events, log).Subscribe(_signals.Add))
        {
            events.ChangeAvailability(true);
        }

        Assert.Equal([NetworkSignal.Available], _signals);
        Assert.Equal([(5000, LogLevel.Information)], log.Entries);
        Assert.Equal(0, events.HandlerCount);
    }

    [Fact]
    public void A_platform_without_signals_takes_subscriptions_and_never_calls()
    {
        var events = new FakeNetworkEvents { SupportsAvailabilityChanged = false, SupportsAddressChanged = false };

        Status(events).Subscribe(_signals.Add).Dispose();

        Assert.Equal(0, events.HandlerCount);
    }

    [Fact]
    public void A_subscription_ends_when_it_is_disposed_of_and_leaves_the_others()
    {
        var events = new FakeNetworkEvents();
        var status = Status(events);
        var first = status.Subscribe(_ => Assert.Fail("called after its end"));
        using (status.Subscribe(_signals.Add))
        {
            first.Dispose();
            first.Dispose();
            events.ChangeAddress();
        }

        Assert.Equal([NetworkSignal.AddressChanged], _signals);
        Assert.Equal(0, events.HandlerCount);
    }

    [Fact]
    public void A_signal_under_way_does_not_reach_a_subscriber_that_has_left()
    {
        var events = new FakeNetworkEvents();
        var status = Status(events);
        IDisposable? second = null;
        using var first = status.Subscribe(_ => second!.Dispose());
        second = status.Subscribe(_signals.Add);

        events.ChangeAddress();

        Assert.Empty(_signals);
    }

    [Fact]
    public void A_subscriber_that_throws_is_logged_and_stops_nobody()
    {
        var events = new FakeNetworkEvents();
        var log = new ListLogger();
        var status = new SystemNetworkStatus(events, log);
        using var bad = status.Subscribe(_ => throw new InvalidOperationException("bad"));
        using var good = status.Subscribe(_signals.Add);

        events.ChangeAvailability(true);

        Assert.Equal([NetworkSignal.Available], _signals);
        Assert.Equal([(5002, LogLevel.Error)], log.Entries);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void The_context_of_the_subscriber_does_not_leak_into_its_calls(bool suppressedAlready)
    {
        var events = new FakeNetworkEvents();
        var seen = new List<string?>();
        _ambient.Value = "a transaction";
        IDisposable subscription;
        using (suppressedAlready ? ExecutionContext.SuppressFlow() : default)
        {
            subscription = Status(events).Subscribe(_ => seen.Add(_ambient.Value));
        }

        Assert.Equal("a transaction", _ambient.Value);
        Assert.False(ExecutionContext.IsFlowSuppressed());
        _ambient.Value = null;
        events.ChangeAddress();
        events.ChangeAvailability(true);

        Assert.Equal([null, null], seen);
        subscription.Dispose();
    }

    private static SystemNetworkStatus Status(FakeNetworkEvents events) => new(events, NullLogger<SystemNetworkStatus>.Instance);

    private sealed class ListLogger : ILogger<SystemNetworkStatus>
    {
        public List<(int Id, LogLevel Level)> Entries { get; } = [];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            Assert.NotNull(exception);
            Entries.Add((eventId.Id, logLevel));
        }
    }
}
