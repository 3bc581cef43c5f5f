using BgSync.Http.Tests.Replay;
using Microsoft.Extensions.DependencyInjection;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Queue;

/// <summary>Requests that were never sent, put into a queue by hand.</summary>
public sealed class PushTests : ReplayFixture
{
    private const string Orders = "https://api.example.com/orders";

    [Fact]
    public async Task A_pushed_request_is_captured_as_the_handler_would()
    {
        await using var app = Create(sync =>
        {
            sync.LaneBy(static request => request.RequestUri!.AbsolutePath);
            sync.MaxRetentionTime = TimeSpan.FromDays(2);
        });
        using var request = Post("two apples");
        request.Headers.TryAddWithoutValidation("Authorization", "Bearer secret");
        request.Headers.TryAddWithoutValidation("X-Kind", "order");
        request.SetBackgroundSyncMetadata(new Dictionary<string, string> { ["title"] = "apples" });
        var made = Clock.GetUtcNow() - TimeSpan.FromDays(1);

        var id = await app.Queue.PushAsync(request, made);

        var entry = Assert.Single(await app.EntriesAsync());
        Assert.Equal((id, "/orders", made, made + TimeSpan.FromDays(2)), (entry.Id, entry.Lane, entry.Timestamp, entry.ExpiresAt));
        Assert.Equal((0, null), (entry.Attempts, entry.LastError));
        Assert.Equal(["X-Kind", "Idempotency-Key"], entry.Request.Headers.Select(header => header.Key));
        Assert.Equal("text/plain; charset=utf-8", Assert.Single(entry.Request.ContentHeaders!).Value);
        Assert.Equal("apples", entry.Metadata["title"]);
        Assert.Equal("two apples"u8.ToArray(), await app.BodyOfAsync(id));
        Assert.True(request.TryGetBackgroundSyncEntryId(out var noted));
        Assert.Equal(id, noted);
        Assert.Contains(app.Logs.Lines, line => line.EventId == 2000 && line.Message.EndsWith("by hand", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_timestamp_left_out_is_now_and_a_GET_needs_no_key()
    {
        await using var app = Create();

        await app.Queue.PushAsync(new HttpRequestMessage(HttpMethod.Get, Orders));

        var entry = Assert.Single(await app.EntriesAsync());
        Assert.Equal(Clock.GetUtcNow(), entry.Timestamp);
        Assert.Empty(entry.Request.Headers);
        Assert.Empty(entry.Metadata);
    }

    [Fact]
    public async Task A_pushed_request_wakes_the_replay_and_arrives_through_the_client()
    {
        await using var server = new RawServer(Scripts.Respond(201));
        await using var app = await StartAsync();

        await app.Queue.PushAsync(new HttpRequestMessage(HttpMethod.Post, server.Uri) { Content = new StringContent("two apples") });

        await EmptyAsync(app);
        Assert.Equal("two apples", Assert.Single(server.Requests).Text);
        Assert.Single(server.Requests[0].ValuesOf("Idempotency-Key"));
    }

    [Fact]
    public async Task Unshift_goes_before_all_and_push_behind_all()
    {
        await using var app = Create();

        await app.Queue.PushAsync(Post("2"));
        await app.Queue.UnshiftAsync(Post("1"));
        await app.Queue.UnshiftAsync(Post("0"));
        await app.Queue.PushAsync(Post("3"));

        Assert.Equal(["0", "1", "2", "3"], await BodiesAsync(app));
    }

    [Fact]
    public async Task A_large_body_that_can_be_read_once_is_streamed_into_the_store()
    {
        await using var app = Create();
        var bytes = TestBytes.Random(1_000_000);

        var id = await app.Queue.PushAsync(
            new HttpRequestMessage(HttpMethod.Put, Orders) { Content = new StreamContent(new OneShotStream(bytes)) });

        Assert.Equal(bytes, await app.BodyOfAsync(id));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("/orders")]
    [InlineData("ftp://example.com/orders")]
    public async Task An_address_that_no_replay_can_go_to_is_refused(string? address)
    {
        await using var app = Create();

        var failure = await Assert.ThrowsAsync<ArgumentException>(
            async () => await app.Queue.PushAsync(new HttpRequestMessage(HttpMethod.Post, address)));

        Assert.Contains("Write the whole address", failure.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<ArgumentNullException>(async () => await app.Queue.PushAsync(null!));
        await Assert.ThrowsAsync<ArgumentNullException>(async () => await app.Queue.UnshiftAsync(null!));
        Assert.Equal(default, await app.Queue.CountAsync());
    }

    [Fact]
    public async Task A_body_that_cannot_be_taken_leaves_nothing_behind()
    {
        await using var app = Create(sync => sync.Limits.MaxBodyLength = 200_000);

        var tooLarge = await Assert.ThrowsAsync<InvalidOperationException>(
            async () => await app.Queue.PushAsync(Post(new string('x', 200_001))));
        Assert.Contains("MaxBodyLength (200000 bytes)", tooLarge.Message, StringComparison.Ordinal);

        var broken = new HttpRequestMessage(HttpMethod.Put, Orders)
        {
            Content = new StreamContent(new OneShotStream(new byte[150_000], failAt: 100_000)),
        };
        await Assert.ThrowsAnyAsync<Exception>(async () => await app.Queue.PushAsync(broken));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            async () => await app.Queue.PushAsync(Post("x"), cancellationToken: new CancellationToken(canceled: true)));
        Assert.Equal(default, await app.Queue.CountAsync());
    }

    [Fact]
    public async Task A_body_that_stalls_ends_in_a_time_out()
    {
        await using var app = Create();

        var pushing = app.Queue.PushAsync(
            new HttpRequestMessage(HttpMethod.Put, Orders) { Content = new StreamContent(new StalledStream([1])) }).AsTask();
        await AdvanceUntilAsync(() => pushing.IsCompleted, "the push gives up");

        await Assert.ThrowsAsync<TimeoutException>(() => pushing);
    }

    [Fact]
    public async Task The_queues_are_found_by_name()
    {
        await using var app = Create(services: services => services.AddHttpClient("other").AddBackgroundSync("photos"));
        var queues = app.Services.GetRequiredService<IBackgroundSyncQueues>();

        Assert.Equal(["photos", TestApplication.QueueName], queues.Names.Order());
        Assert.Same(app.Queue, queues[TestApplication.QueueName]);
        Assert.Equal("photos", queues["photos"].Name);
        var failure = Assert.Throws<KeyNotFoundException>(() => queues["photo"]);
        Assert.Contains("photos", failure.Message, StringComparison.Ordinal);
    }

    private static HttpRequestMessage Post(string body) => new(HttpMethod.Post, Orders) { Content = new StringContent(body) };

    private static async Task<List<string>> BodiesAsync(TestApplication app)
    {
        var bodies = new List<string>();
        foreach (var entry in await app.EntriesAsync())
        {
            bodies.Add(System.Text.Encoding.UTF8.GetString(await app.BodyOfAsync(entry.Id)));
        }

        return bodies;
    }
}
