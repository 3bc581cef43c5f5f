using System.Net;
using Microsoft.Extensions.DependencyInjection;
using RichardSzalay.MockHttp;
using Xunit;

namespace BgSync.Http.Tests.Integration;

/// <summary>Tests as the users of the library write them: their own client, with MockHttp in the place of the network.</summary>
public sealed class MockHttpTests : IAsyncDisposable
{
    private const string Orders = "https://api.example.com/orders";

    private readonly MockHttpMessageHandler _mock = new();
    private readonly ServiceProvider _services;

    public MockHttpTests()
    {
        var services = new ServiceCollection();
        services.AddHttpClient("api").AddBackgroundSync("orders").ConfigurePrimaryHttpMessageHandler(() => _mock);
        services.AddBackgroundSyncMemory();
        _services = services.BuildServiceProvider();
    }

    private HttpClient Client => _services.GetRequiredService<IHttpClientFactory>().CreateClient("api");

    private IBackgroundSyncQueue Queue => _services.GetRequiredKeyedService<IBackgroundSyncQueue>("orders");

    [Fact]
    public async Task An_order_that_was_made_offline_arrives_with_the_key_of_its_first_attempt()
    {
        var keys = new List<string>();
        _mock.Expect(HttpMethod.Post, Orders).With(NoteKey).Throw(new HttpRequestException(HttpRequestError.ConnectionError));
        _mock.Expect(HttpMethod.Post, Orders).With(NoteKey).WithContent("two apples").Respond(HttpStatusCode.Created);

        await Assert.ThrowsAsync<RequestQueuedException>(() => Client.PostAsync(Orders, new StringContent("two apples")));
        var summary = await Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        _mock.VerifyNoOutstandingExpectation();
        Assert.Equal(1, summary.Delivered);
        Assert.Equal(2, keys.Count);
        Assert.Single(keys.Distinct());

        bool NoteKey(HttpRequestMessage request)
        {
            keys.AddRange(request.Headers.GetValues("Idempotency-Key"));
            return true;
        }
    }

    [Fact]
    public async Task Orders_arrive_in_the_order_in_which_they_were_made()
    {
        await GoOfflineAsync("first", "second", "third");
        foreach (var order in new[] { "first", "second", "third" })
        {
            _mock.Expect(Orders).WithContent(order).Respond(HttpStatusCode.Created);
        }

        await Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        _mock.VerifyNoOutstandingExpectation();
    }

    [Fact]
    public async Task A_server_that_is_busy_gets_the_order_again()
    {
        await GoOfflineAsync("order");
        _mock.Expect(Orders).Respond(HttpStatusCode.ServiceUnavailable);
        _mock.Expect(Orders).Respond(HttpStatusCode.Created);

        await Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        var waiting = await Queue.GetAllAsync().SingleAsync();
        await Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal((1, "The server answered 503."), (waiting.Attempts, waiting.LastError));
        Assert.Equal(new QueueCounts(Pending: 0, DeadLettered: 0, Bytes: 0), await Queue.CountAsync());
        _mock.VerifyNoOutstandingExpectation();
    }

    [Fact]
    public async Task An_order_that_the_server_will_never_take_becomes_a_dead_letter()
    {
        await GoOfflineAsync("nonsense");
        _mock.Expect(Orders).Respond(HttpStatusCode.BadRequest);

        await Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        var letter = await Queue.GetDeadLettersAsync().SingleAsync();
        Assert.Equal((DeadLetterCause.Rejected, 400), (letter.Cause, letter.StatusCode));
    }

    [Fact]
    public async Task An_order_that_becomes_a_dead_letter_lets_the_next_one_pass()
    {
        await GoOfflineAsync("nonsense", "order");
        _mock.Expect(Orders).WithContent("nonsense").Respond(HttpStatusCode.BadRequest);
        _mock.Expect(Orders).WithContent("order").Respond(HttpStatusCode.Created);

        var summary = await Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal(new ReplaySummary(Delivered: 1, DeadLettered: 1, Remaining: 0, Completed: true), summary);
    }

    [Fact]
    public async Task A_live_order_may_overtake_those_that_are_queued()
    {
        await GoOfflineAsync("first");
        _mock.Expect(Orders).WithContent("second").Respond(HttpStatusCode.Created);
        _mock.Expect(Orders).WithContent("first").Respond(HttpStatusCode.Created);

        using var response = await Client.PostAsync(Orders, new StringContent("second"));
        await Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        _mock.VerifyNoOutstandingExpectation();
    }

    [Fact]
    public async Task A_dead_letter_can_be_sent_again()
    {
        await GoOfflineAsync("order");
        _mock.Expect(Orders).Respond(HttpStatusCode.NotFound);
        await Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        _mock.Expect(Orders).Respond(HttpStatusCode.Created);
        Assert.True(await Queue.RequeueAsync((await Queue.GetDeadLettersAsync().SingleAsync()).Id));
        var summary = await Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal((1, 0), (summary.Delivered, summary.Remaining));
    }

    [Fact]
    public async Task Status_401_holds_the_origin_until_a_replay_by_hand()
    {
        await GoOfflineAsync("first", "second");
        _mock.Expect(Orders).Respond(HttpStatusCode.Unauthorized);

        await Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        Assert.Equal(2, (await Queue.CountAsync()).Pending);

        _mock.Expect(Orders).Respond(HttpStatusCode.Created);
        _mock.Expect(Orders).Respond(HttpStatusCode.Created);
        var summary = await Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal((2, 0), (summary.Delivered, summary.Remaining));
    }

    [Fact]
    public async Task Failure_that_does_not_say_its_kind_is_queued_with_its_key()
    {
        // Handlers inside throw so when they know that there is no network.
        _mock.Expect(Orders).Throw(new HttpRequestException("The network is down."));

        await Assert.ThrowsAsync<RequestQueuedException>(() => Client.PostAsync(Orders, new StringContent("order")));

        Assert.Equal(1, (await Queue.CountAsync()).Pending);
    }

    [Fact]
    public async Task A_request_that_reads_is_not_queued()
    {
        _mock.Expect(HttpMethod.Get, Orders).Throw(new HttpRequestException(HttpRequestError.ConnectionError));

        await Assert.ThrowsAsync<HttpRequestException>(() => Client.GetAsync(Orders));

        Assert.Equal(0, (await Queue.CountAsync()).Pending);
    }

    public ValueTask DisposeAsync() => _services.DisposeAsync();

    private async Task GoOfflineAsync(params string[] orders)
    {
        foreach (var order in orders)
        {
            _mock.Expect(Orders).Throw(new HttpRequestException(HttpRequestError.ConnectionError));
            await Assert.ThrowsAsync<RequestQueuedException>(() => Client.PostAsync(Orders, new StringContent(order)));
        }
    }
}
