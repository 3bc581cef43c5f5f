using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using BgSync.Http.Storage;
using Microsoft.Extensions.DependencyInjection;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Capture;

/// <summary>A replay is the request that the caller made: nothing more on the wire, nothing less, and no secret on disk.</summary>
public sealed class CaptureRestoreTests
{
    private static readonly byte[] _file = TestBytes.Random(300_000);

    public static TheoryData<string, Func<HttpContent?>> Contents => new()
    {
        { "none", () => null },
        { "an empty text", () => new StringContent("") },
        { "a text", () => new StringContent("Łódź", Encoding.Latin1, "text/csv") },
        { "JSON", () => JsonContent.Create(new { Name = "Łódź", Price = 1.5 }) },
        { "JSON of a sequence computed while it is read", () => JsonContent.Create(Enumerable.Range(1, 3).Select(_ => Guid.NewGuid())) },
        { "JSON of an asynchronous sequence", () => JsonContent.Create(Computed()) },
        { "a form", () => new FormUrlEncodedContent([new("a b", "c&d"), new("a b", "ł")]) },
        { "bytes", () => new ByteArrayContent(_file, 1, 200_000) },
        { "memory", () => new ReadOnlyMemoryContent(_file.AsMemory(1)) },
        {
            "a form with a file",
            () => new MultipartFormDataContent { { new StringContent("x"), "a" }, { new ByteArrayContent(_file), "f", "ł.png" } }
        },
        { "a form with a camera", () => new MultipartFormDataContent { { new StreamContent(new OneShotStream(_file)), "f", "live.png" } } },
        { "a stream from its middle", () => new StreamContent(new MemoryStream(_file) { Position = 1000 }) },
        { "a stream that is read once", () => new StreamContent(new OneShotStream(_file)) },
        { "an application's own", () => new PushContent(_file) },
    };

    [Theory]
    [MemberData(nameof(Contents), DisableDiscoveryEnumeration = true)]
    public async Task What_is_replayed_is_what_was_sent(string kind, Func<HttpContent?> content)
    {
        await using var server = new RawServer(RawServer.Sequence(Scripts.Respond(503), Scripts.Respond(200)));
        await using var app = new TestApplication(sync => sync.QueuedStatuses.Add(HttpStatusCode.ServiceUnavailable));
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(server.Uri, "/a%2Fb/ł?q=%20x&y")) { Content = content() };
        request.Headers.Add("X-Many", ["one", "two"]);
        request.Headers.Add("Accept", ["text/html;q=0.5", "*/*"]);
        request.Content?.Headers.Add("Content-Language", ["pl", "en"]);

        await Assert.ThrowsAsync<RequestQueuedException>(() => app.Client.SendAsync(request));
        await ReplayAsync(app);

        Assert.Equal(2, server.Requests.Count);
        var (live, replay) = (server.Requests[0], server.Requests[1]);
        Assert.Equal(WireText.HeadOf(live), WireText.HeadOf(replay));
        Assert.Equal(live.Body.ToArray(), replay.Body.ToArray());
        Assert.Equal([replay.Body.Length.ToString(CultureInfo.InvariantCulture)], replay.ValuesOf("Content-Length"));
        Assert.Empty(replay.ValuesOf("Transfer-Encoding"));
        Assert.NotEmpty(kind);
    }

    [Theory]
    [InlineData("User-Agent", "Mozilla (compatible")]
    [InlineData("User-Agent", "a/1 (b) c")]
    [InlineData("Date", "yesterday")]
    [InlineData("If-Match", "abc")]
    [InlineData("Accept", "text/html;;q=x")]
    [InlineData("X-Empty", "")]
    [InlineData("Expect", "the-unexpected")]
    [InlineData("Host", "orders.example.com")]
    public async Task A_header_that_is_legal_only_in_the_wild_is_replayed_as_it_was(string name, string value)
    {
        await using var server = new RawServer(RawServer.Sequence(Scripts.CloseAfterRequest(), Scripts.Respond(200)));
        await using var app = new TestApplication();
        using var request = Post(server.Uri);
        Assert.True(request.Headers.TryAddWithoutValidation(name, value));

        await Assert.ThrowsAsync<RequestQueuedException>(() => app.Client.SendAsync(request));
        await ReplayAsync(app);

        Assert.Equal(WireText.HeadOf(server.Requests[0]), WireText.HeadOf(server.Requests[1]));
        Assert.Equal([value], server.Requests[1].ValuesOf(name));
    }

    [Fact]
    public async Task Headers_are_kept_in_two_lists_in_order_one_for_each_value()
    {
        await using var app = new TestApplication();
        using var request = Post(DeadUri("/"));
        request.Headers.Add("X-B", ["2", "1"]);
        request.Headers.Add("X-A", "3");
        request.Content!.Headers.Add("Content-Language", ["pl", "en"]);

        var entry = await QueueAsync(app, request);

        Assert.Equal([new("X-B", "2"), new("X-B", "1"), new("X-A", "3")], entry.Request.Headers.SkipLast(1));
        Assert.Equal("Idempotency-Key", entry.Request.Headers[^1].Key);
        Assert.Equal(
            [new("Content-Type", "text/plain; charset=utf-8"), new("Content-Language", "pl"), new("Content-Language", "en")],
            entry.Request.ContentHeaders);
    }

    [Fact]
    public async Task Headers_of_one_connection_are_not_kept()
    {
        await using var app = new TestApplication(sync => sync.IdempotencyKeyHeader = null);
        using var request = Post(DeadUri("/"));
        foreach (var name in (string[])
            ["Connection", "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Upgrade", "baggage", "tracestate", "Request-Id"])
        {
            Assert.True(request.Headers.TryAddWithoutValidation(name, "x"));
        }

        request.Headers.TransferEncodingChunked = true;

        Assert.Empty((await QueueAsync(app, request)).Request.Headers);
    }

    [Theory]
    [InlineData(302, 1)]
    [InlineData(303, 1)]
    [InlineData(307, 0)]
    [InlineData(308, 0)]
    public async Task A_redirect_into_the_void_queues_the_request_that_was_made(int status, int attempts)
    {
        await using var server = new RawServer(Scripts.Redirect(status, DeadUri("/moved")));
        await using var app = new TestApplication();
        using var request = Post(server.Uri);
        request.Headers.Add("X-A", "1");

        var entry = await QueueAsync(app, request);

        Assert.Equal((HttpMethod.Post, server.Uri), (entry.Request.Method, entry.Request.Uri));
        Assert.Contains(new("X-A", "1"), entry.Request.Headers);
        Assert.Contains(new("Content-Type", "text/plain; charset=utf-8"), entry.Request.ContentHeaders!);
        Assert.Equal("order"u8.ToArray(), await app.BodyOfAsync(entry.Id));
        // A server that says "see other" has taken the request.
        Assert.Equal(attempts, entry.Attempts);
        Assert.Single(server.Requests);
    }

    [Theory]
    [InlineData(303, false)]
    [InlineData(307, true)]
    public async Task Without_keys_a_redirect_into_the_void_is_queued_only_when_the_server_has_not_taken_the_request(
        int status, bool isQueued)
    {
        await using var server = new RawServer(Scripts.Redirect(status, DeadUri("/moved")));
        await using var app = new TestApplication(sync => sync.IdempotencyKeyHeader = null);

        var failure = await Assert.ThrowsAnyAsync<HttpRequestException>(() => app.Client.SendAsync(Post(server.Uri)));

        Assert.Equal(isQueued, failure.GetNotQueuedReason() is null);
        Assert.Equal(isQueued ? 1 : 0, (await app.EntriesAsync()).Count);
    }

    [Fact]
    public async Task A_replay_without_a_key_that_is_redirected_into_the_void_is_not_sent_again()
    {
        await using var server = new RawServer(Scripts.Redirect(303, DeadUri("/moved")));
        await server.StopAsync();
        await using var app = new TestApplication(sync => sync.IdempotencyKeyHeader = null);
        await QueueAsync(app, Post(server.Uri));
        server.Start();

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal(DeadLetterCause.MaybeProcessed, Assert.Single(await app.DeadLettersAsync()).Cause);
        Assert.Single(server.Requests);
    }

    [Fact]
    public async Task A_replay_begins_a_trace_of_its_own_with_a_link_to_the_live_one()
    {
        await using var server = new RawServer(RawServer.Sequence(Scripts.CloseAfterRequest(), Scripts.Respond(200)));
        await using var app = new TestApplication();
        using var live = new Activity("live").Start();
        var replays = new List<Activity>();
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == "BgSync.Http",
            Sample = (ref _) => ActivitySamplingResult.AllData,
            ActivityStopped = activity =>
            {
                if (activity.Links.Any(link => link.Context.TraceId == live.TraceId))
                {
                    replays.Add(activity);
                }
            },
        };
        ActivitySource.AddActivityListener(listener);
        var entry = await QueueAsync(app, Post(server.Uri));
        using var unrelated = new Activity("unrelated").Start();

        await ReplayAsync(app);

        Assert.Equal(live.Id, entry.TraceParent);
        Assert.DoesNotContain(entry.Request.Headers, header => header.Key == "traceparent");
        var replay = Assert.Single(replays);
        Assert.Equal(default, replay.ParentSpanId);
        Assert.NotEqual(live.TraceId, replay.TraceId);
        Assert.NotEqual(unrelated.TraceId, replay.TraceId);
        Assert.Contains(live.TraceId.ToString(), Assert.Single(server.Requests[0].ValuesOf("traceparent")), StringComparison.Ordinal);
        Assert.Contains(replay.TraceId.ToString(), Assert.Single(server.Requests[1].ValuesOf("traceparent")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task No_secret_is_on_disk()
    {
        await using var app = new TestApplication(sync => sync.Capture.SecretHeaders.Add("X-Api-Key"));
        using var request = Post(DeadUri("/"));
        foreach (var name in (string[])["Authorization", "Cookie", "Proxy-Authorization", "x-api-key"])
        {
            Assert.True(request.Headers.TryAddWithoutValidation(name, "s3cret"));
        }

        request.Headers.Add("X-Plain", "no secret");
        var entry = await QueueAsync(app, request);

        var disk = await ReadDiskAsync(app);
        Assert.Contains("no secret", disk, StringComparison.Ordinal);
        Assert.DoesNotContain("s3cret", disk, StringComparison.Ordinal);
        Assert.Equal(request.RequestUri!.PathAndQuery, entry.Request.Uri.PathAndQuery);
    }

    [Fact]
    public async Task Request_with_credentials_in_its_address_is_not_queued_and_says_why()
    {
        await using var app = new TestApplication();

        var failure = await Assert.ThrowsAsync<HttpRequestException>(() => app.Client.SendAsync(Post(DeadUri("/", "me:s3cret@"))));

        Assert.Contains("credentials", failure.GetNotQueuedReason(), StringComparison.Ordinal);
        Assert.Empty(await app.EntriesAsync());
    }

    [Fact]
    public async Task Secrets_come_back_on_replay_from_the_client_and_from_inner_handlers()
    {
        await using var server = new RawServer(RawServer.Sequence(Scripts.CloseAfterRequest(), Scripts.Respond(200)));
        var tokens = 0;
        await using var app = new TestApplication(
            sync => sync.Capture.SecretHeaders.Add("X-Api-Key"),
            client: builder => builder.ConfigureHttpClient(client => client.DefaultRequestHeaders.Add("X-Api-Key", "the client's")),
            inner: builder => builder.AddHttpMessageHandler(() => new ObservingHandler(
                request => request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", $"token-{++tokens}"))));

        await Assert.ThrowsAsync<RequestQueuedException>(() => app.Client.SendAsync(Post(server.Uri)));
        await ReplayAsync(app);

        Assert.All(server.Requests, read => Assert.Equal(["the client's"], read.ValuesOf("X-Api-Key")));
        Assert.Equal(["Bearer token-1", "Bearer token-2"], server.Requests.SelectMany(read => read.ValuesOf("Authorization")));
    }

    [Fact]
    public async Task Version_policy_and_metadata_come_back()
    {
        await using var server = new RawServer(RawServer.Sequence(Scripts.CloseAfterRequest(), Scripts.Respond(200)));
        var sent = new List<(Version, HttpVersionPolicy)>();
        await using var app = new TestApplication(inner: builder => builder.AddHttpMessageHandler(
            () => new ObservingHandler(request => sent.Add((request.Version, request.VersionPolicy)))));
        using var request = Post(server.Uri);
        (request.Version, request.VersionPolicy) = (HttpVersion.Version10, HttpVersionPolicy.RequestVersionExact);
        request.SetBackgroundSyncMetadata(new Dictionary<string, string> { ["order"] = "ł \"1\"\r\n", [""] = "" });

        var entry = await QueueAsync(app, request);
        await ReplayAsync(app);

        Assert.Equal(Enumerable.Repeat((HttpVersion.Version10, HttpVersionPolicy.RequestVersionExact), 2), sent);
        Assert.Equal(new Dictionary<string, string> { ["order"] = "ł \"1\"\r\n", [""] = "" }, entry.Metadata);
    }

    [Theory]
    [InlineData("X-A", "1\r\nX-Injected: 2")]
    [InlineData("X-A", "1\nX-Injected: 2")]
    [InlineData("X-A\r\nX-Injected", "2")]
    [InlineData("X-A", "1\0")]
    [InlineData("Content-Type", "text/plain")]
    public async Task A_stored_header_that_cannot_be_sent_is_a_dead_letter_and_the_queue_goes_on(string name, string value)
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = new TestApplication();
        await app.Store.AddAsync(Stored("/bad", new(name, value)), CancellationToken.None);
        await app.Store.AddAsync(Stored("/good", new("X-A", "1")), CancellationToken.None);

        var summary = await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal((1, 1, 0), (summary.Delivered, summary.DeadLettered, summary.Remaining));
        Assert.Equal(DeadLetterCause.Unreadable, Assert.Single(await app.DeadLettersAsync()).Cause);
        Assert.Equal("/good", Assert.Single(server.Requests).Target);

        NewEntry Stored(string path, KeyValuePair<string, string> header) => new()
        {
            Queue = TestApplication.QueueName,
            Request = new RequestSnapshot { Method = HttpMethod.Post, Uri = new Uri(server.Uri, path), Headers = [header] },
            Timestamp = TimeProvider.System.GetUtcNow(),
        };
    }

    [Fact]
    public async Task A_GET_on_a_route_is_replayed_without_content()
    {
        await using var server = new RawServer(RawServer.Sequence(Scripts.Respond(503), Scripts.Respond(200)));
        await using var app = new TestApplication(sync =>
        {
            sync.Routes.Add(HttpMethod.Get, "/feed");
            sync.QueuedStatuses.Add(HttpStatusCode.ServiceUnavailable);
        });
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(server.Uri, "/feed"));

        var entry = await QueueAsync(app, request);
        await ReplayAsync(app);

        Assert.Null(entry.Request.ContentHeaders);
        Assert.Equal(WireText.HeadOf(server.Requests[0]), WireText.HeadOf(server.Requests[1]));
        Assert.Empty(server.Requests[1].ValuesOf("Content-Length"));
    }

    [Fact]
    public async Task Every_attempt_is_a_message_of_its_own()
    {
        await using var server = new RawServer(RawServer.Sequence(Scripts.CloseAfterRequest(), Scripts.Respond(500), Scripts.Respond(200)));
        var messages = new List<HttpRequestMessage>();
        await using var app = new TestApplication(
            inner: builder => builder.AddHttpMessageHandler(() => new ObservingHandler(messages.Add)));
        await QueueAsync(app, Post(server.Uri));

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        await ReplayAsync(app);

        Assert.Equal(3, messages.Distinct().Count());
    }

    private static HttpRequestMessage Post(Uri uri) => new(HttpMethod.Post, uri) { Content = new StringContent("order") };

    private static Uri DeadUri(string path, string userInfo = "") => new($"http://{userInfo}127.0.0.1:{RawServer.RefusedPort()}{path}");

    private static async Task<QueuedEntry> QueueAsync(TestApplication app, HttpRequestMessage request)
    {
        await Assert.ThrowsAsync<RequestQueuedException>(() => app.Client.SendAsync(request));
        return Assert.Single(await app.EntriesAsync());
    }

    private static async Task ReplayAsync(TestApplication app)
    {
        var summary = await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        Assert.Equal((1, 0, 0), (summary.Delivered, summary.DeadLettered, summary.Remaining));
    }

    /// <summary>The raw bytes of the database and of its log, as text.</summary>
    private static async Task<string> ReadDiskAsync(TestApplication app)
    {
        var text = new StringBuilder();
        foreach (var path in (string[])[app.Path, app.Path + "-wal"])
        {
            await using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            using var reader = new StreamReader(file, Encoding.Latin1);
            text.Append(await reader.ReadToEndAsync());
        }

        return text.ToString();
    }

    /// <summary>Another sequence on every reading.</summary>
    private static async IAsyncEnumerable<Guid> Computed()
    {
        await Task.Yield();
        yield return Guid.NewGuid();
    }
}
