using BgSync.Http.TestApp;
using BgSync.Http.Testing;
using BgSync.Http.Testing.Trials;
using Xunit;

namespace BgSync.Http.Tests.Trials;

/// <summary>An application that is killed at any moment, while it queues and replays.</summary>
[Collection(TrialCollection.Name)]
[Trait("Category", "Trial")]
public sealed class KillTests(ITestOutputHelper output)
{
    private const int Seed = 20261122;
    private const int Producers = 4;

    private static readonly TimeSpan _queueDeadline = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan _drainDeadline = TimeSpan.FromMinutes(3);

    [Fact]
    public async Task Whatever_the_caller_was_told_is_queued_arrives_through_kills()
    {
        var rounds = TrialRounds.Of(shortRun: 8, fullRun: 100);
        var moment = new Random(Seed);
        List<string> queued = [];
        using var directory = new TempDirectory();
        await using var server = await FlippingServer.StartAsync(Seed);

        for (int round = 0; round < rounds; round++)
        {
            await using var application = await StartAsync(directory, server, $"round{round}", Producers);
            // A slow machine takes longer to begin than any moment that is drawn here, and a kill before that shows nothing.
            await WaitUntilQueuedAsync(application);
            await Task.Delay(moment.Next(700), TestContext.Current.CancellationToken);
            await application.KillAsync();
            Assert.Empty(application.Said("FAILED"));
            queued.AddRange(application.Said("QUEUED"));
        }

        await server.StayOpenAsync();
        await using var last = await StartAsync(directory, server, "last", producers: 0);
        last.Tell("drain");
        await last.WaitForLineAsync("EMPTY", _drainDeadline);

        var arrivals = server.Arrivals.ToLookup(arrival => arrival.Item.Id);
        output.WriteLine($"{rounds} rounds: {queued.Count} queued, {server.Arrivals.Count} arrivals of {arrivals.Count} items.");
        Assert.NotEmpty(queued);
        Assert.DoesNotContain(queued, id => !arrivals.Contains(id));
        Assert.All(server.Arrivals, arrival => Assert.True(arrival.IsWhole));
        Assert.All(arrivals, sent => Assert.Single(sent.Select(arrival => arrival.IdempotencyKey).Distinct()));
        AssertInOrder(queued, server.Arrivals);
        AssertSentAgainOnlyAfterAKill(arrivals);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task What_is_sent_for_the_first_time_at_the_kill_arrives_with_WriteAhead_and_is_lost_without(bool writeAhead)
    {
        var item = new Item("lane", "large0");
        using var directory = new TempDirectory();
        await using var server = new RawServer(RawServer.Sequence(Scripts.NeverAnswer(), Scripts.Respond(200)));
        await using var victim = await StartAsync("victim");
        victim.Tell($"post {item.Lane} {item.Id}");
        await Eventually.TrueAsync(() => server.Requests.Count == 1, "the request is read");
        await victim.KillAsync();

        await using var next = await StartAsync("next");
        next.Tell("drain");
        await next.WaitForLineAsync("EMPTY", _drainDeadline);

        Assert.Equal(writeAhead ? ["victim", "next"] : ["victim"], server.Requests.SelectMany(read => read.ValuesOf("Sender")));
        Assert.All(server.Requests, read => Assert.Equal(item.Body, read.Text));
        Assert.Single(server.Requests.SelectMany(read => read.ValuesOf("Idempotency-Key")).Distinct());

        Task<TrialProcess> StartAsync(string sender) =>
            TrialProcess.StartAppAsync("post", directory.File("queues.db"), server.Uri.AbsoluteUri, sender, $"{writeAhead}");
    }

    [Fact]
    public async Task Without_a_kill_each_arrives_exactly_once()
    {
        var duration = TimeSpan.FromSeconds(TrialRounds.Of(shortRun: 3, fullRun: 20));
        using var directory = new TempDirectory();
        await using var server = await FlippingServer.StartAsync(Seed);
        await using var application = await StartAsync(directory, server, "only", Producers);
        await WaitUntilQueuedAsync(application);
        await Task.Delay(duration, TestContext.Current.CancellationToken);
        await server.StayOpenAsync();
        application.Tell("drain");
        await application.WaitForLineAsync("EMPTY", _drainDeadline);

        var queued = application.Said("QUEUED");
        var delivered = application.Said("DELIVERED");
        output.WriteLine($"{duration.TotalSeconds} s: {queued.Count} queued, {delivered.Count} delivered at once.");
        Assert.Empty(application.Said("FAILED"));
        Assert.NotEmpty(queued);
        Assert.Equal(queued.Concat(delivered).Order(), server.Arrivals.Select(arrival => arrival.Item.Id).Order());
        Assert.All(server.Arrivals, arrival => Assert.True(arrival.IsWhole));
        AssertInOrder(queued, server.Arrivals);
    }

    private static Task<TrialProcess> StartAsync(TempDirectory directory, FlippingServer server, string sender, int producers) =>
        TrialProcess.StartAppAsync("queue-and-replay", directory.File("queues.db"), server.Address, sender, $"{producers}");

    private static Task WaitUntilQueuedAsync(TrialProcess application) =>
        application.WaitAsync(() => application.Said("QUEUED").Count > 0, _queueDeadline, "something is queued");

    /// <summary>What was queued arrives first in the order in which it was queued, lane by lane.</summary>
    private static void AssertInOrder(IReadOnlyCollection<string> queued, IReadOnlyCollection<Arrival> arrivals)
    {
        HashSet<string> isQueued = [.. queued];
        Item[] arrived = [.. arrivals.Select(arrival => arrival.Item).Distinct().Where(item => isQueued.Contains(item.Id))];
        var idsByLane = arrived.ToLookup(item => item.Lane, item => item.Id);
        var laneById = arrived.ToDictionary(item => item.Id, item => item.Lane);
        foreach (var lane in queued.GroupBy(id => laneById[id]))
        {
            Assert.Equal(lane, idsByLane[lane.Key]);
        }
    }

    /// <summary>
    /// A lane has one entry in flight, so a kill leaves at most one of each lane that is sent again; and nobody sends twice what
    /// it was answered.
    /// </summary>
    private static void AssertSentAgainOnlyAfterAKill(ILookup<string, Arrival> arrivals)
    {
        IGrouping<string, Arrival>[] sentAgain = [.. arrivals.Where(sent => sent.Count() > 1)];
        Assert.All(sentAgain, sent => Assert.Distinct(sent.Select(arrival => arrival.Sender)));

        IEnumerable<(string Sender, string Lane)> inFlightAtKill =
            sentAgain.SelectMany(sent => sent.SkipLast(1).Select(arrival => (arrival.Sender, arrival.Item.Lane)));
        Assert.Distinct(inFlightAtKill);
    }
}
