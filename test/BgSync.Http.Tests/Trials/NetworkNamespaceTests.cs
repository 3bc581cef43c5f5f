using System.Diagnostics;
using TestKit;
using TestKit.Trials;
using Xunit;

namespace BgSync.Http.Tests.Trials;

/// <summary>A server and an application with a real link between them that goes down and up.</summary>
[Collection(TrialCollection.Name)]
[Trait("Category", "Trial")]
public sealed class NetworkNamespaceTests(ITestOutputHelper output)
{
    private static readonly TimeSpan _toldDeadline = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan _arrivalDeadline = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan _settleDeadline = TimeSpan.FromSeconds(60);

    [Theory]
    [InlineData(LinkLoss.InterfaceDown)]
    [InlineData(LinkLoss.CablePulled)]
    public async Task What_was_queued_arrives_within_5_s_after_the_link_is_up(LinkLoss loss)
    {
        using var directory = new TempDirectory();
        await using var network = await NetworkPair.CreateAsync();
        await using var server = await StartServerAsync(network);
        await using var application = await StartApplicationAsync(network, directory, attemptSeconds: 2);

        application.Tell("post photos before");
        await application.WaitForLineAsync("DELIVERED before", _toldDeadline);

        await network.LoseAsync(loss);
        string[] ids = ["first", "second", "third"];
        foreach (var id in ids)
        {
            application.Tell($"post photos {id}");
            await application.WaitAsync(() => application.Queued.Any(queued => queued.Item.Id == id), _toldDeadline, $"{id} is queued");
        }

        await network.RestoreAsync(loss);
        var up = Stopwatch.GetTimestamp();
        await server.WaitAsync(() => ids.All(Arrivals(server).Contains), _arrivalDeadline, $"the queued items.\n{application}");
        output.WriteLine($"{loss}: {ids.Length} items arrived {Stopwatch.GetElapsedTime(up).TotalSeconds:0.00} s after the link was up.");

        await WaitForEmptyAsync(application);
        Assert.Equal(["before", .. ids], Arrivals(server));
    }

    [Fact]
    public async Task A_flapping_link_delivers_everything_once()
    {
        var flaps = TrialRounds.Of(shortRun: 3, fullRun: 20);
        var random = new Random(flaps);
        using var directory = new TempDirectory();
        await using var network = await NetworkPair.CreateAsync();
        await using var server = await StartServerAsync(network);

        // The time of an attempt outlasts a flap, as TCP does: a response that was under way still comes, and nothing is sent again.
        await using var application = await StartApplicationAsync(network, directory, attemptSeconds: 20);

        var posted = 0;
        for (int flap = 0; flap < flaps; flap++)
        {
            var loss = flap % 2 == 0 ? LinkLoss.InterfaceDown : LinkLoss.CablePulled;
            await PostForAsync(random.Next(100, 800));
            await network.LoseAsync(loss);
            await PostForAsync(random.Next(100, 800));
            await network.RestoreAsync(loss);
        }

        string[] ids = [.. Enumerable.Range(0, posted).Select(number => $"item{number}")];
        await application.WaitAsync(
            () => application.Said("QUEUED").Count + application.Said("DELIVERED").Count >= posted,
            _settleDeadline,
            "a word on each item");
        await server.WaitAsync(() => ids.All(Arrivals(server).ToHashSet().Contains), _settleDeadline, $"all items.\n{application}");
        await WaitForEmptyAsync(application);
        output.WriteLine($"{flaps} flaps: {posted} items, {application.Said("QUEUED").Count} of them queued.");
        Assert.NotEmpty(application.Said("QUEUED"));
        Assert.Equal(ids.Order(), Arrivals(server).Order());

        async Task PostForAsync(int milliseconds)
        {
            var started = Stopwatch.GetTimestamp();
            while (Stopwatch.GetElapsedTime(started).TotalMilliseconds < milliseconds)
            {
                application.Tell($"post lane{posted % 3} item{posted}");
                posted++;
                await Task.Delay(20, TestContext.Current.CancellationToken);
            }
        }
    }

    private static Task<TrialProcess> StartServerAsync(NetworkPair network) =>
        TrialProcess.StartAppInAsync(network.ServerNamespace, "serve", NetworkPair.ServerEndPoint);

    private static Task<TrialProcess> StartApplicationAsync(NetworkPair network, TempDirectory directory, int attemptSeconds) =>
        TrialProcess.StartAppInAsync(
            network.ApplicationNamespace,
            ["upload", $"sqlite:{directory.File("queues.db")}", $"http://{NetworkPair.ServerEndPoint}/", "app", $"{attemptSeconds}"]);

    /// <summary>The ids in the order of arrival: <c>ARRIVED lane id …</c>.</summary>
    private static IReadOnlyList<string> Arrivals(TrialProcess server) =>
        [.. server.Said("ARRIVED").Select(arrival => arrival.Split(' ')[1])];

    private static Task WaitForEmptyAsync(TrialProcess application) => application.WaitAsync(
        () =>
        {
            application.Tell("count");
            return application.Lines.LastOrDefault(line => line.StartsWith("LIVE", StringComparison.Ordinal)) == "LIVE 0 DEAD 0";
        },
        _settleDeadline,
        "an empty queue");
}
