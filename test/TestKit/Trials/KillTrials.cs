using BgSync.Http.TestApp;
using Xunit;

namespace TestKit.Trials;

/// <summary>An application that is killed at any moment, while it queues and replays.</summary>
public abstract class KillTrials(ITestOutputHelper output)
{
    private const int Seed = 20261122;
    private const int Producers = 4;
    private const int LeaseSeconds = 3;

    private static readonly TimeSpan _queueDeadline = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan _drainDeadline = TimeSpan.FromMinutes(3);

    protected abstract TrialStore Store { get; }

    [Fact]
    public async Task Whatever_the_caller_was_told_is_queued_arrives_through_kills()
    {
        var rounds = TrialRounds.Of(shortRun: 4, fullRun: 100);
        var moment = new Random(Seed);
        List<QueuedItem> queued = [];
        HashSet<string> killed = [];
        await using var server = await FlippingServer.StartAsync(Seed);

        for (int round = 0; round < rounds; round++)
        {
            var sender = $"round{round}";
            await using var application = await Store.StartAsync(server.Address, sender, Producers, LeaseSeconds);
            // A slow machine takes longer to begin than any moment that is drawn here, and a kill before that shows nothing.
            await WaitUntilQueuedAsync(application);
            await Task.Delay(moment.Next(700), TestContext.Current.CancellationToken);
            await application.KillAsync();
            Assert.Empty(application.Said("FAILED"));
            queued.AddRange(application.Queued);
            killed.Add(sender);
        }

        await server.StayOpenAsync();
        await using var last = await Store.StartAsync(server.Address, "last", producers: 0, LeaseSeconds);
        last.Tell("drain");
        await last.WaitForLineAsync("EMPTY", _drainDeadline);

        var items = server.Arrivals.DistinctBy(arrival => arrival.Item).Count();
        output.WriteLine($"{rounds} rounds: {queued.Count} queued, {server.Arrivals.Count} arrivals of {items} items.");
        Assert.NotEmpty(queued);
        TrialAssert.NothingIsLost(queued, server.Arrivals);
        TrialAssert.LanesAreInOrder(queued, server.Arrivals);
        TrialAssert.OnlyInterruptedAreSentAgain(killed, server.Arrivals);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task What_is_sent_for_the_first_time_at_the_kill_arrives_with_WriteAhead_and_is_lost_without(bool writeAhead)
    {
        var item = new Item("lane", "large0");
        await using var server = new RawServer(RawServer.Sequence(Scripts.NeverAnswer(), Scripts.Respond(200)));
        await using var victim = await StartAsync("victim");
        victim.Tell($"post {item.Lane} {item.Id}");
        await Eventually.TrueAsync(() => server.Requests.Count == 1, "the request is read");
        await victim.KillAsync();

        await using var next = await StartAsync("next");
        if (writeAhead)
        {
            // It enters the queue when its owner is known to be dead.
            await next.WaitAsync(() => server.Requests.Count == 2, _drainDeadline, "it is sent again");
        }

        next.Tell("drain");
        await next.WaitForLineAsync("EMPTY", _drainDeadline);

        Assert.Equal(writeAhead ? ["victim", "next"] : ["victim"], server.Requests.SelectMany(read => read.ValuesOf("Sender")));
        Assert.All(server.Requests, read => Assert.Equal(item.Body, read.Text));
        Assert.Single(server.Requests.SelectMany(read => read.ValuesOf("Idempotency-Key")).Distinct());

        Task<TrialProcess> StartAsync(string sender) => Store.StartPostingAsync(server.Uri.AbsoluteUri, sender, writeAhead);
    }

    [Fact]
    public async Task Without_a_kill_each_arrives_exactly_once()
    {
        var duration = TimeSpan.FromSeconds(TrialRounds.Of(shortRun: 2, fullRun: 20));
        await using var server = await FlippingServer.StartAsync(Seed);
        await using var application = await Store.StartAsync(server.Address, "only", Producers, LeaseSeconds);
        await WaitUntilQueuedAsync(application);
        await Task.Delay(duration, TestContext.Current.CancellationToken);
        await server.StayOpenAsync();
        application.Tell("drain");
        await application.WaitForLineAsync("EMPTY", _drainDeadline);

        var queued = application.Queued;
        var delivered = application.Said("DELIVERED");
        output.WriteLine($"{duration.TotalSeconds} s: {queued.Count} queued, {delivered.Count} delivered at once.");
        Assert.Empty(application.Said("FAILED"));
        Assert.NotEmpty(queued);
        Assert.Equal(
            queued.Select(told => told.Item.Id).Concat(delivered).Order(), server.Arrivals.Select(arrival => arrival.Item.Id).Order());
        TrialAssert.NothingIsLost(queued, server.Arrivals);
        TrialAssert.LanesAreInOrder(queued, server.Arrivals);
    }

    private static Task WaitUntilQueuedAsync(TrialProcess application) =>
        application.WaitAsync(() => application.Queued.Count > 0, _queueDeadline, "something is queued");
}
