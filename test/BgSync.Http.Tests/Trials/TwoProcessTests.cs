using BgSync.Http.Testing;
using BgSync.Http.Testing.Trials;
using Xunit;

namespace BgSync.Http.Tests.Trials;

/// <summary>Two processes on one file, both queueing and replaying.</summary>
[Collection(TrialCollection.Name)]
[Trait("Category", "Trial")]
public sealed class TwoProcessTests(ITestOutputHelper output)
{
    private const int Seed = 7;

    private static readonly TimeSpan _shareDeadline = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan _drainDeadline = TimeSpan.FromMinutes(2);

    [Fact]
    public async Task Nothing_is_sent_twice_and_nothing_is_lost()
    {
        var duration = TimeSpan.FromSeconds(TrialRounds.Of(shortRun: 3, fullRun: 20));
        using var directory = new TempDirectory();
        await using var server = await FlippingServer.StartAsync(Seed);
        await using var left = await StartAsync(directory, server, "left");
        await using var right = await StartAsync(directory, server, "right");
        await Task.Delay(duration, TestContext.Current.CancellationToken);
        await Eventually.TrueAsync(() => HandedOver() > 0, _shareDeadline, () => $"one sends what the other queued.\n{left}\n{right}");
        await server.StayOpenAsync();
        foreach (var process in (TrialProcess[])[left, right])
        {
            process.Tell("drain");
        }

        await left.WaitForLineAsync("EMPTY", _drainDeadline);
        await right.WaitForLineAsync("EMPTY", _drainDeadline);

        string[] told = [.. Both("QUEUED"), .. Both("DELIVERED")];
        output.WriteLine(
            $"{duration.TotalSeconds} s: {Both("QUEUED").Count()} queued, {HandedOver()} sent by the process that did not queue them.");
        Assert.Empty(Both("FAILED"));
        Assert.Equal(told.Order(), server.Arrivals.Select(arrival => arrival.Item.Id).Order());
        Assert.All(server.Arrivals, arrival => Assert.True(arrival.IsWhole));

        int HandedOver() => server.Arrivals.Count(arrival => !arrival.Item.Id.StartsWith(arrival.Sender, StringComparison.Ordinal));

        IEnumerable<string> Both(string word) => left.Said(word).Concat(right.Said(word));
    }

    private static Task<TrialProcess> StartAsync(TempDirectory directory, FlippingServer server, string sender) =>
        new TrialStore($"sqlite:{directory.File("queues.db")}").StartAsync(server.Address, sender, producers: 3, leaseSeconds: 60);
}
