using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using BgSync.Http.Connectivity;
using Microsoft.Extensions.Logging.Abstractions;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Connectivity;

/// <summary>The system's own events, raised by a network interface that comes and goes. Skipped where none can be made.</summary>
[Trait("Category", "Network")]
public class RealNetworkTests
{
    private static readonly AsyncLocal<string?> _ambient = new();

    [Fact]
    public void The_static_events_let_go_of_a_subscriber_that_has_left()
    {
        var subscriber = SubscribeAndLeave();

        GC.Collect();

        Assert.False(subscriber.TryGetTarget(out _));
    }

    [Fact]
    public async Task An_interface_that_comes_up_is_signalled_without_the_context_of_the_subscriber()
    {
        await using var pair = await InterfacePair.CreateAsync();
        var signals = new ConcurrentQueue<(NetworkSignal Signal, string? Ambient)>();
        var status = Status();
        _ambient.Value = "a transaction";
        using var subscription = status.Subscribe(signal => signals.Enqueue((signal, _ambient.Value)));

        await pair.BringUpAsync();

        await Eventually.TrueAsync(
            () => signals.Any(seen => seen.Signal == NetworkSignal.AddressChanged), "the new address is signalled");
        await Eventually.TrueAsync(
            () => signals.Any(seen => seen.Signal == NetworkSignal.Available), "the network is signalled as available");
        Assert.All(signals, seen => Assert.Null(seen.Ambient));
    }

    private static SystemNetworkStatus Status() => new(new SystemNetworkEvents(), NullLogger<SystemNetworkStatus>.Instance);

    // Apart, so that no local of the test keeps the subscriber alive.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static WeakReference<List<NetworkSignal>> SubscribeAndLeave()
    {
        var subscriber = new List<NetworkSignal>();
        Status().Subscribe(subscriber.Add).Dispose();
        return new WeakReference<List<NetworkSignal>>(subscriber);
    }
}
