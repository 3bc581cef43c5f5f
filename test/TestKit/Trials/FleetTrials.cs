using BgSync.Http.TestApp;
using Xunit;

namespace TestKit.Trials;

/// <summary>Four processes that share a queue, all of them queueing and replaying.</summary>
public abstract class FleetTrials(ITestOutputHelper output)
{
    private const int Seed = 7;
    private const int Processes = 4;
    private const int Producers = 3;

    // The entries brought into flight: the first that is left of each lane.
    private const int Lanes = 6;
    private const int ItemsPerLane = 3;
    private const string Victim = "p0";

    // Nobody waits for the end of these leases, so they outlast any time that a machine keeps a process waiting.
    private const int LongLeaseSeconds = 60;
    private const int ShortLeaseSeconds = 3;

    private static readonly TimeSpan _deadline = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan _takeOver = TimeSpan.FromSeconds(20);

    protected abstract TrialStore Store { get; }

    [Fact]
    public async Task Nothing_is_lost_nothing_is_sent_twice_and_lanes_keep_their_order()
    {
        var duration = TimeSpan.FromSeconds(TrialRounds.Of(shortRun: 2, fullRun: 20));
        await using var server = await FlippingServer.StartAsync(Seed);
        await using var fleet = new Fleet(Store, server.Address, Producers, LongLeaseSeconds);
        await fleet.StartAsync(Processes);
        await Task.Delay(duration, TestContext.Current.CancellationToken);
        await fleet.WaitAsync(() => HandedOver().DistinctBy(arrival => arrival.Sender).Count() == Processes, _deadline, "all have helped");
        await server.StayOpenAsync();
        await fleet.DrainAsync();

        output.WriteLine(
            $"{Processes} processes, {duration.TotalSeconds} s: {fleet.Queued.Count} queued, {server.Arrivals.Count} arrived, "
            + $"{HandedOver().Count()} of them sent by a process that did not queue them.");
        Assert.Empty(fleet.Said("FAILED"));
        Assert.Empty(fleet.Said("LEASE-LOST"));
        var told = fleet.Queued.Select(queued => queued.Item.Id).Concat(fleet.Said("DELIVERED"));
        Assert.Equal(told.Order(), server.Arrivals.Select(arrival => arrival.Item.Id).Order());
        TrialAssert.NothingIsLost(fleet.Queued, server.Arrivals);
        TrialAssert.LanesAreInOrder(fleet.Queued, server.Arrivals);

        IEnumerable<Arrival> HandedOver() =>
            server.Arrivals.Where(arrival => !arrival.Item.Id.StartsWith(arrival.Sender + "-", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Whatever_was_queued_arrives_though_processes_are_killed()
    {
        var kills = TrialRounds.Of(shortRun: 2, fullRun: 20);
        var random = new Random(Seed);
        await using var server = await FlippingServer.StartAsync(Seed);
        await using var fleet = new Fleet(Store, server.Address, Producers, ShortLeaseSeconds);
        await fleet.StartAsync(Processes);
        for (int kill = 0; kill < kills; kill++)
        {
            var victim = fleet.Living[random.Next(Processes)];
            await fleet.WaitAsync(() => victim.Process.Queued.Count > 0, _deadline, $"{victim.Sender} queues something");
            await Task.Delay(random.Next(700), TestContext.Current.CancellationToken);
            await fleet.KillAsync(victim);
            await fleet.StartAsync(1);
        }

        await server.StayOpenAsync();
        await fleet.DrainAsync();

        var items = server.Arrivals.DistinctBy(arrival => arrival.Item).Count();
        output.WriteLine(
            $"{kills} of {Processes + kills} processes killed: {fleet.Queued.Count} queued, {items} arrived, "
            + $"{server.Arrivals.Count - items} twice.");
        Assert.Empty(fleet.Said("FAILED"));
        TrialAssert.NothingIsLost(fleet.Queued, server.Arrivals);
        TrialAssert.LanesAreInOrder(fleet.Queued, server.Arrivals);
        TrialAssert.OnlyInterruptedAreSentAgain(fleet.Killed, server.Arrivals);
    }

    [Fact]
    public async Task The_lanes_of_a_killed_process_go_on_in_others()
    {
        await using var server = new HoldingServer(Victim);
        await using var fleet = new Fleet(Store, server.Address, producers: 0, ShortLeaseSeconds);
        var inFlight = await BringIntoFlightAsync(server, fleet);

        await fleet.KillAsync(fleet.Living[0]);
        await fleet.WaitAsync(() => AreSentAgain(inFlight, server), _deadline, "others send what was in flight");
        server.AnswerAll();
        await fleet.DrainAsync();

        Assert.Empty(fleet.Said("LEASE-LOST"));
        AssertTakenOver(inFlight, fleet, server);
    }

    [Fact]
    public async Task A_process_that_wakes_after_its_leases_settles_nothing()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Processes are frozen by signals.");
        await using var server = new HoldingServer(Victim);
        await using var fleet = new Fleet(Store, server.Address, producers: 0, ShortLeaseSeconds);
        var inFlight = await BringIntoFlightAsync(server, fleet);
        var frozen = fleet.Living[0].Process;

        // One that is frozen in the midst of a commit keeps a database file locked until it wakes: then at another moment.
        await frozen.FreezeAsync();
        for (var retries = 5; !await fleet.HoldsAsync(() => AreSentAgain(inFlight, server), _takeOver) && retries > 0; retries--)
        {
            await frozen.WakeAsync();
            await frozen.FreezeAsync();
        }

        Assert.True(AreSentAgain(inFlight, server), "Others send what was in flight.");
        // When it wakes its responses are there, and others are sending the same.
        server.Answer(Victim);
        await frozen.WakeAsync();
        await fleet.WaitAsync(() => frozen.Said("LEASE-LOST").Count == Lanes, _deadline, "it learns of every lease that it has lost");
        var unanswered = server.Held;
        Assert.NotEmpty(unanswered);
        await fleet.Living[1].Process.WaitForLiveAsync(() => Lanes * ItemsPerLane - Delivered(inFlight, server), _deadline);
        server.AnswerAll();
        await fleet.DrainAsync();

        output.WriteLine($"{inFlight.Count} in flight in the frozen process, {unanswered.Count} of them in another when it woke.");
        Assert.Equal(Lanes, fleet.Said("LEASE-LOST").Count);
        AssertTakenOver(inFlight, fleet, server);
    }

    /// <summary>Has one process send something of every lane and wait for the responses, before it starts the others.</summary>
    private static async Task<IReadOnlyCollection<Arrival>> BringIntoFlightAsync(HoldingServer server, Fleet fleet)
    {
        await fleet.StartAsync(1);
        var process = fleet.Living[0].Process;
        for (int number = 0; number < Lanes * ItemsPerLane; number++)
        {
            process.Tell($"post lane{number % Lanes} item{number}");
            await process.WaitAsync(() => process.Queued.Count == number + 1, _deadline, $"item{number} is queued");
        }

        await server.OpenAsync();
        await fleet.WaitAsync(() => server.Held.Count == Lanes, _deadline, "an item of every lane is in flight");
        await fleet.StartAsync(Processes - 1);
        return server.Held;
    }

    private static bool AreSentAgain(IReadOnlyCollection<Arrival> inFlight, HoldingServer server) => inFlight.All(first =>
        server.Arrivals.Any(arrival => arrival.Item == first.Item && arrival.Sender != first.Sender));

    /// <summary>How many items were answered while their sender had their lease.</summary>
    private static int Delivered(IReadOnlyCollection<Arrival> inFlight, HoldingServer server) =>
        server.Arrivals.Except(server.Held).Except(inFlight).DistinctBy(arrival => arrival.Item).Count();

    /// <summary>Another process has sent what was in flight, before anything else of its lane, and nothing else was sent again.</summary>
    private static void AssertTakenOver(IReadOnlyCollection<Arrival> inFlight, Fleet fleet, HoldingServer server)
    {
        Assert.Empty(fleet.Said("FAILED"));
        Assert.Equal(Lanes * ItemsPerLane + Lanes, server.Arrivals.Count);
        foreach (var first in inFlight)
        {
            var next = server.Arrivals.SkipWhile(arrival => arrival != first).Skip(1).First(arrival => arrival.Item.Lane == first.Item.Lane);
            Assert.Equal(first.Item, next.Item);
            Assert.NotEqual(first.Sender, next.Sender);
        }

        TrialAssert.NothingIsLost(fleet.Queued, server.Arrivals);
        TrialAssert.LanesAreInOrder(fleet.Queued, server.Arrivals);
    }
}
