using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Net;
using Microsoft.Extensions.DependencyInjection;
using RichardSzalay.MockHttp;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Diagnostics;

/// <summary>The meter <c>BgSync.Http</c> measures an entry's life.</summary>
public sealed class MetricsTests : IDisposable
{
    private const string Orders = "https://api.example.com/orders?secret=1";

    private readonly ConcurrentQueue<(string Instrument, string Tags)> _measured = [];
    private readonly MeterListener _listener = new();
    private readonly MockHttpMessageHandler _mock = new();

    [Fact]
    public async Task Every_end_of_a_request_is_measured_without_path_query_or_header()
    {
        await using var app = new TestApplication(sync => sync.Limits.MaxBodyLength = 5, primary: () => _mock);
        Listen(app);
        await FailAsync<RequestQueuedException>(app, "first");
        await FailAsync<RequestQueuedException>(app, "next");
        await FailAsync<HttpRequestException>(app, "too large");
        _mock.Expect(Orders).Respond(HttpStatusCode.ServiceUnavailable);
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        _mock.Expect(Orders).Respond(HttpStatusCode.BadRequest);
        _mock.Expect(Orders).Respond(HttpStatusCode.Created);
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal(
            [
                ("bgsync.request.enqueued", "bgsync.queue.name=test"),
                ("bgsync.request.enqueued", "bgsync.queue.name=test"),
                ("bgsync.request.dropped", "bgsync.queue.name=test"),
                ("bgsync.replay.duration", Replay("retry", 503)),
                ("bgsync.replay.duration", Replay("dead_lettered", 400)),
                ("bgsync.request.dead_lettered", "bgsync.dead_letter.cause=rejected, bgsync.queue.name=test"),
                ("bgsync.replay.duration", Replay("delivered", 201)),
            ],
            _measured);

        static string Replay(string outcome, int status) =>
            $"bgsync.queue.name=test, bgsync.replay.outcome={outcome}, http.request.method=POST, http.response.status_code={status}, "
            + "server.address=api.example.com";
    }

    [Fact]
    public async Task What_is_taken_or_removed_by_hand_is_counted()
    {
        await using var app = new TestApplication();
        Listen(app);
        for (var i = 0; i < 5; i++)
        {
            await app.Queue.PushAsync(new HttpRequestMessage(HttpMethod.Put, Orders));
        }

        (await app.Queue.ShiftAsync())!.Dispose();
        await app.Queue.RemoveAsync((await app.EntriesAsync())[0].Id);
        await app.Queue.ClearAsync();

        Assert.Equal(5, _measured.Count(measured => measured.Instrument == "bgsync.request.enqueued"));
        Assert.Equal(3, _measured.Count(measured => measured == ("bgsync.request.removed", "bgsync.queue.name=test")));
    }

    [Fact]
    public async Task What_is_made_one_is_counted_apart()
    {
        var answer = Coalescing.ReplaceQueued;
        await using var app = new TestApplication(sync => sync.CoalesceBy(_ => "secret", (_, _) => Task.FromResult(answer)));
        Listen(app);
        foreach (var next in (Coalescing[])[Coalescing.Append, Coalescing.ReplaceQueued, Coalescing.KeepFirst, Coalescing.CancelOut])
        {
            answer = next;
            await app.Queue.PushAsync(new HttpRequestMessage(HttpMethod.Put, Orders));
        }

        Assert.Equal(
            [
                ("bgsync.request.enqueued", "bgsync.queue.name=test"),
                ("bgsync.request.coalesced", "bgsync.coalescing=replaced, bgsync.queue.name=test"),
                ("bgsync.request.coalesced", "bgsync.coalescing=kept, bgsync.queue.name=test"),
                ("bgsync.request.coalesced", "bgsync.coalescing=cancelled, bgsync.queue.name=test"),
            ],
            _measured);
    }

    public void Dispose()
    {
        _listener.Dispose();
        _mock.Dispose();
    }

    private void Listen(TestApplication app)
    {
        var factory = app.Services.GetRequiredService<IMeterFactory>();
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter is { Name: "BgSync.Http", Scope: var scope } && scope == factory)
            {
                listener.EnableMeasurementEvents(instrument);
            }
        };
        _listener.SetMeasurementEventCallback<long>((instrument, _, tags, _) => Note(instrument, tags));
        _listener.SetMeasurementEventCallback<double>((instrument, _, tags, _) => Note(instrument, tags));
        _listener.Start();
    }

    private void Note(Instrument instrument, ReadOnlySpan<KeyValuePair<string, object?>> tags) =>
        _measured.Enqueue((instrument.Name, string.Join(", ", tags.ToArray()
            .Select(static tag => $"{tag.Key}={tag.Value}").Order(StringComparer.Ordinal))));

    private async Task FailAsync<TFailure>(TestApplication app, string order)
        where TFailure : Exception
    {
        _mock.Expect(Orders).Throw(new HttpRequestException(HttpRequestError.ConnectionError));
        await Assert.ThrowsAsync<TFailure>(() => app.Client.PostAsync(Orders, new StringContent(order)));
    }
}
