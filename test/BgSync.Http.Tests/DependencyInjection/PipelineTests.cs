using System.Net.Http.Headers;
using Microsoft.Extensions.DependencyInjection;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.DependencyInjection;

/// <summary>The place of the queue among the handlers of its client.</summary>
public sealed class PipelineTests
{
    private static readonly Uri _orders = new("http://example.com/orders");

    private readonly FakeWire _wire = new();

    [Fact]
    public async Task A_handler_added_before_runs_once_and_one_added_after_on_every_attempt()
    {
        int outside = 0, inside = 0;
        await using var app = new TestApplication(
            client: builder => builder.AddHttpMessageHandler(() => new Before(_ => outside++)),
            inner: builder => builder.AddHttpMessageHandler(() => new Before(_ => inside++)),
            primary: () => _wire);
        await QueueOneAsync(app);
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        Assert.Empty(_wire.Received);

        _wire.IsOnline = true;
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Single(_wire.Received);
        Assert.Equal((1, 3), (outside, inside));
    }

    [Fact]
    public async Task A_token_handler_inside_puts_a_fresh_token_on_every_attempt_and_none_is_stored()
    {
        var tokens = 0;
        await using var app = new TestApplication(
            inner: builder => builder.AddHttpMessageHandler(
                () => new Before(request => request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", $"{++tokens}"))),
            primary: () => _wire);
        await QueueOneAsync(app);
        Assert.DoesNotContain(Assert.Single(await app.EntriesAsync()).Request.Headers, header => header.Key == "Authorization");

        _wire.IsOnline = true;
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal("Bearer 2", Assert.Single(_wire.Received).Headers.Authorization?.ToString());
    }

    [Fact]
    public async Task What_a_handler_outside_changes_is_queued_as_it_was_changed()
    {
        await using var app = new TestApplication(
            client: builder => builder.AddHttpMessageHandler(() => new Before(request => request.Headers.Add("X-Device", "7"))),
            primary: () => _wire);
        await QueueOneAsync(app);

        _wire.IsOnline = true;
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal(["7"], Assert.Single(_wire.Received).Headers.GetValues("X-Device"));
    }

    [Fact]
    public async Task A_secret_among_the_clients_default_headers_is_not_stored_and_is_sent_as_it_is_by_then()
    {
        var secret = "old";
        await using var app = new TestApplication(
            client: builder => builder.ConfigureHttpClient(client => client.DefaultRequestHeaders.Authorization = new("Bearer", secret)),
            primary: () => _wire);
        await QueueOneAsync(app);
        Assert.DoesNotContain(Assert.Single(await app.EntriesAsync()).Request.Headers, header => header.Key == "Authorization");

        (secret, _wire.IsOnline) = ("new", true);
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal("Bearer new", Assert.Single(_wire.Received).Headers.Authorization?.ToString());
    }

    [Fact]
    public async Task The_inner_of_two_queues_that_match_takes_the_request_and_the_outer_none()
    {
        await using var app = new TestApplication(inner: builder => builder.AddBackgroundSync("inner"), primary: () => _wire);

        var queued = await Assert.ThrowsAsync<RequestQueuedException>(() => app.Client.PostAsync(_orders, null));

        Assert.Equal("inner", queued.Queue);
        Assert.Empty(await app.EntriesAsync());
    }

    [Fact]
    public async Task Retries_inside_come_first_and_the_request_is_queued_once_when_they_were_in_vain()
    {
        var attempts = 0;
        await using var app = new TestApplication(
            inner: builder => builder.AddHttpMessageHandler(() => new Retrying(3)).AddHttpMessageHandler(() => new Before(_ => attempts++)),
            primary: () => _wire);

        await QueueOneAsync(app);

        Assert.Equal(3, attempts);
        Assert.Single(await app.EntriesAsync());
    }

    [Fact]
    public async Task A_typed_client_that_sets_its_own_timeout_takes_it_away_from_the_queue()
    {
        await using var server = new RawServer(Scripts.NeverAnswer());
        await using var app = new TestApplication();
        var client = app.Client;
        client.Timeout = TimeSpan.FromMilliseconds(100);

        await Assert.ThrowsAsync<TaskCanceledException>(() => client.PostAsync(server.Uri, null));

        Assert.Empty(await app.EntriesAsync());
    }

    private static async Task QueueOneAsync(TestApplication app) =>
        await Assert.ThrowsAsync<RequestQueuedException>(() => app.Client.PostAsync(_orders, new StringContent("order")));

    private sealed class Before(Action<HttpRequestMessage> act) : DelegatingHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            act(request);
            return base.SendAsync(request, cancellationToken);
        }
    }

    private sealed class Retrying(int attempts) : DelegatingHandler
    {
        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            for (var attempt = 1; ; attempt++)
            {
                try
                {
                    return await base.SendAsync(request, cancellationToken);
                }
                catch (HttpRequestException) when (attempt < attempts)
                {
                }
            }
        }
    }
}
