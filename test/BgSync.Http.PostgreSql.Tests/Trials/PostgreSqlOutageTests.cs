using TestKit.PostgreSql;
using TestKit.Trials;
using Xunit;

namespace BgSync.Http.PostgreSql.Tests.Trials;

/// <summary>Four processes, whose server crashes and whose connections are cut, again and again.</summary>
[Collection(TrialCollection.Name)]
[Trait("Category", "Trial")]
public sealed class PostgreSqlOutageTests(ITestOutputHelper output)
{
    private const int Seed = 11;
    private const int Processes = 4;
    private const int Producers = 3;
    private const int LeaseSeconds = 5;

    private static readonly TimeSpan _deadline = TimeSpan.FromMinutes(1);

    [Fact]
    public async Task Nothing_is_lost_and_only_what_was_in_flight_is_sent_again()
    {
        var outages = TrialRounds.Of(shortRun: 2, fullRun: 20);
        var random = new Random(Seed);
        await using var cluster = await PostgreSqlCluster.StartNewAsync();
        await using var database = await cluster.CreateDatabaseAsync();
        await using var server = await FlippingServer.StartAsync(Seed);
        await using var fleet = new Fleet(TrialDatabase.StoreIn(database), server.Address, Producers, LeaseSeconds);
        await fleet.StartAsync(Processes);
        var cut = 0L;
        for (int outage = 0; outage < outages; outage++)
        {
            var before = fleet.Living.ToDictionary(member => member, member => member.Process.Queued.Count);
            await fleet.WaitAsync(
                () => before.All(member => member.Key.Process.Queued.Count > member.Value), _deadline, "all of them queue again");
            await Task.Delay(random.Next(200), TestContext.Current.CancellationToken);
            if (outage % 2 == 0)
            {
                await cluster.RestartAsync("immediate");
                database.Direct.Clear();
            }
            else
            {
                cut += await database.CutConnectionsAsync();
            }
        }

        await server.StayOpenAsync();
        await fleet.DrainAsync();

        var sentAgain = server.Arrivals.GroupBy(arrival => arrival.Item).Where(sent => sent.Count() > 1).ToList();
        output.WriteLine(
            $"{outages} outages, {cut} connections cut: {fleet.Queued.Count} queued, {fleet.Said("FAILED").Count} refused, "
            + $"{server.Arrivals.Count} arrived, {sentAgain.Count} of them again.");
        // A caller that cannot be queued for want of a server gets the failure that it would have got without a queue.
        Assert.All(fleet.Said("FAILED"), failed => Assert.Contains(" HttpRequestException: ", failed, StringComparison.Ordinal));
        TrialAssert.NothingIsLost(fleet.Queued, server.Arrivals);
        TrialAssert.LanesAreInOrder(fleet.Queued, server.Arrivals);
        Assert.All(
            sentAgain.GroupBy(sent => sent.Key.Lane), lane => Assert.InRange(lane.Sum(sent => sent.Count() - 1), 1, outages));
        Assert.Equal(0, await database.ScalarAsync(
            """
            SELECT (SELECT count(*) FROM bgsync.entry) + (SELECT count(*) FROM bgsync.lane) + (SELECT count(*) FROM bgsync.dead_letter)
                + (SELECT abs(sum(live)) + abs(sum(bytes)) FROM bgsync.tally)
            """));
    }
}
