using System.Diagnostics;
using System.Globalization;
using BgSync.Http.Benchmarks.Measuring;
using BgSync.Http.Benchmarks.Queueing;
using BgSync.Http.Benchmarks.Queues;
using BgSync.Http.Benchmarks.Replay;
using BgSync.Http.Benchmarks.Reporting;

namespace BgSync.Http.Benchmarks.Others;

/// <summary>The whole way beside others: requests are made while the server is away, and sent when it is back.</summary>
internal sealed class OthersPart : IBenchmarkPart
{
    private const int Callers = 8;

    private readonly byte[] _body = new byte[1024];

    public string Name => "others";

    public string Title => "Beside others";

    public async Task RunAsync(Bench bench)
    {
        var requests = bench.Effort.Of(2000, 50);
        StoreSubject[] stores = [.. bench.Subjects.OfType<StoreSubject>()];
        var deliveries = stores.Append(null).Select(static _ => new Series()).ToArray();
        var queueing = await Series.AlternateAsync(bench.Effort.Of(3, 1), [.. stores.Append(null).Select((store, i) =>
            (Func<Task<double>>)(async () =>
            {
                var (queued, delivered) = store is null
                    ? await RunHandWrittenAsync(bench, requests)
                    : await RunStoreAsync(bench, store, requests);
                deliveries[i].Add(delivered);
                return queued;
            }))]);
        for (var i = 0; i < stores.Length; i++)
        {
            var count = string.Create(CultureInfo.InvariantCulture, $"{requests:#,0} requests");
            bench.Section.Add(Against(
                $"{stores[i].Name}: {count} of {Callers} callers while the server is away", queueing[i], queueing[^1]));
            bench.Section.Add(Against($"{stores[i].Name}: the same sent when it is back, one lane", deliveries[i], deliveries[^1]));
        }
    }

    private static Finding Against(string what, Series series, Series handWritten) => new(
        $"{what}, against hand-written",
        series.RatioTo(handWritten),
        $"{Figures.PerSecond(series.Median)} against {Figures.PerSecond(handWritten.Median)}",
        series.RatioTo(handWritten));

    private async Task<(double Queued, double Delivered)> RunStoreAsync(Bench bench, StoreSubject store, int requests)
    {
        using var port = new RefusingPort();
        await using var application = new Application(store, bench.Folder.New("others"), port.Uri, static sync =>
            sync.WhenQueued = WhenQueued.ReturnAccepted);
        var queued = (await Load.RunAsync(Callers, requests, async _ =>
        {
            using var content = new ByteArrayContent(_body);
            using var response = await application.Client.PostAsync(new Uri("/orders", UriKind.Relative), content);
        })).PerSecond;
        return (queued, await DeliverAsync(port, requests, () => application.Queue.ReplayAsync(TimeSpan.FromMinutes(10))));
    }

    private async Task<(double Queued, double Delivered)> RunHandWrittenAsync(Bench bench, int requests)
    {
        using var port = new RefusingPort();
        using var client = new HandWrittenClient(bench.Folder.New("others"), port.Uri);
        var queued = (await Load.RunAsync(Callers, requests, _ => client.PostAsync("/orders", _body))).PerSecond;
        return (queued, await DeliverAsync(port, requests, client.DrainAsync));
    }

    /// <returns>How many arrived a second.</returns>
    private static async Task<double> DeliverAsync(RefusingPort port, int requests, Func<Task> deliver)
    {
        port.Dispose();
        await using var server = await LocalServer.StartAsync(port.Number);
        var started = Stopwatch.GetTimestamp();
        await deliver();
        var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        ArgumentOutOfRangeException.ThrowIfNotEqual(server.Requests, requests);
        return requests / seconds;
    }
}
