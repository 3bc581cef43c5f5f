using System.Globalization;
using BgSync.Http.Storage;
using Microsoft.Extensions.DependencyInjection;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Replay;

/// <summary>The outcome of an entry after a response, or after none.</summary>
public sealed class ResponseTests : ReplayFixture
{
    [Theory]
    [InlineData(408)]
    [InlineData(425)]
    [InlineData(429)]
    [InlineData(500)]
    [InlineData(502)]
    [InlineData(503)]
    [InlineData(504)]
    public async Task A_server_that_cannot_take_it_now_is_asked_again_with_a_growing_backoff(int status)
    {
        await using var server = new RawServer(Scripts.Respond(status));
        await using var app = Create();
        await QueueWhileDownAsync(app, server, "1");
        List<double> waits = [];
        for (var i = 0; i < 12; i++)
        {
            await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
            var entry = Assert.Single(await app.EntriesAsync());
            Assert.Equal(i + 1, entry.Attempts);
            waits.Add((entry.DueAt!.Value - Clock.GetUtcNow()).TotalSeconds);
        }

        Assert.Equal([1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300], waits);
    }

    [Theory]
    [InlineData(503, ResponseVerdict.Delivered)]
    [InlineData(200, ResponseVerdict.Retry)]
    [InlineData(200, ResponseVerdict.Reject)]
    [InlineData(404, ResponseVerdict.Hold)]
    public async Task The_application_may_say_what_a_reply_means(int status, ResponseVerdict verdict)
    {
        await using var server = new RawServer(Scripts.Respond(status));
        await using var app = Create(sync => sync.ClassifyResponse =
            (response, _) => new((int)response.StatusCode == status ? verdict : null));
        await QueueWhileDownAsync(app, server, "1");

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        var counts = await app.Queue.CountAsync();
        Assert.Equal(
            (verdict is ResponseVerdict.Retry or ResponseVerdict.Hold ? 1 : 0, verdict == ResponseVerdict.Reject ? 1 : 0),
            (counts.Pending, counts.DeadLettered));
        Assert.Null(await app.Queue.GetPauseAsync());
    }

    [Fact]
    public async Task What_the_application_leaves_open_is_classified_as_ever()
    {
        await using var server = new RawServer(RawServer.Sequence(Scripts.Respond(503), Scripts.Respond(400)));
        await using var app = Create(static sync => sync.ClassifyResponse = static (_, _) => new((ResponseVerdict?)null));
        await QueueWhileDownAsync(app, server, "1");

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        Assert.Equal("The server answered 503.", Assert.Single(await app.EntriesAsync()).LastError);
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal(DeadLetterCause.Rejected, Assert.Single(await app.DeadLettersAsync()).Cause);
    }

    [Fact]
    public async Task An_application_that_cannot_say_what_a_reply_means_does_not_lose_the_entry()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create(static sync =>
        {
            sync.Retry.MaxAttempts = 2;
            sync.ClassifyResponse = static (_, _) => throw new NotSupportedException("What is this?");
        });
        await QueueWhileDownAsync(app, server, "1");

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        var entry = Assert.Single(await app.EntriesAsync());
        Assert.Equal((1, "ClassifyResponse failed. NotSupportedException: What is this?"), (entry.Attempts, entry.LastError));
        Assert.Equal(Clock.GetUtcNow().AddSeconds(1), entry.DueAt);
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal(DeadLetterCause.Exhausted, Assert.Single(await app.DeadLettersAsync()).Cause);
    }

    [Theory]
    [InlineData("120", 120)]
    [InlineData("Thu, 01 Jan 1970 00:00:00 GMT", 1)]
    [InlineData("0", 1)]
    [InlineData("99999999", 86400)]
    [InlineData("soon", 1)]
    public async Task Retry_After_is_obeyed_within_reason(string value, int seconds)
    {
        await using var server = new RawServer(Scripts.Respond(503, ("Retry-After", value)));
        await using var app = Create();
        await QueueWhileDownAsync(app, server, "1");

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal(Clock.GetUtcNow().AddSeconds(seconds), Assert.Single(await app.EntriesAsync()).DueAt);
    }

    [Fact]
    public async Task Retry_After_may_be_a_date()
    {
        var at = DateTimeOffset.FromUnixTimeSeconds(Clock.GetUtcNow().AddMinutes(10).ToUnixTimeSeconds());
        await using var server = new RawServer(Scripts.Respond(503, ("Retry-After", at.ToString("R", CultureInfo.InvariantCulture))));
        await using var app = Create();
        await QueueWhileDownAsync(app, server, "1");

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal(at, Assert.Single(await app.EntriesAsync()).DueAt);
    }

    [Fact]
    public async Task Only_time_ends_a_wait_that_the_server_asked_for()
    {
        await using var server = new RawServer(RawServer.Sequence(Scripts.Respond(503, ("Retry-After", "120")), Scripts.Respond(200)));
        await using var app = await StartAsync();
        await QueueWhileDownAsync(app, server, "1");
        var putOff = app.Queue.UntilAsync(EntryEventKind.WillRetry);
        app.Network.Raise(NetworkSignal.Available);
        await putOff;

        app.Network.Raise(NetworkSignal.Available);
        using var live = await app.Client.GetAsync(server.Uri);
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        Assert.Single(server.Requests, request => request.Method == "POST");

        await AdvanceUntilAsync(() => server.Requests.Count(request => request.Method == "POST") == 2, "the entry is sent again");
    }

    [Theory]
    [InlineData(400)]
    [InlineData(403)]
    [InlineData(404)]
    [InlineData(413)]
    [InlineData(422)]
    public async Task What_the_server_will_never_take_becomes_a_dead_letter_and_the_lane_goes_on(int status)
    {
        await using var server = new RawServer(RawServer.Sequence(Scripts.Respond(status), Scripts.Respond(200)));
        await using var app = Create();
        await QueueWhileDownAsync(app, server, "rejected", "delivered");

        var summary = await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal((1, 1, 0), (summary.Delivered, summary.DeadLettered, summary.Remaining));
        var letter = Assert.Single(await app.DeadLettersAsync());
        Assert.Equal((DeadLetterCause.Rejected, status), (letter.Cause, letter.StatusCode));
        Assert.Equal("rejected"u8.ToArray(), await app.BodyOfAsync(letter.Id));
    }

    [Fact]
    public async Task A_conflict_without_a_key_is_final()
    {
        await using var server = new RawServer(Scripts.Respond(409));
        await using var app = Create(sync => sync.IdempotencyKeyHeader = null);
        await QueueWhileDownAsync(app, server, "1");

        Assert.Equal(1, (await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan)).DeadLettered);
    }

    [Fact]
    public async Task A_POST_without_a_key_that_the_server_may_have_processed_is_not_sent_twice()
    {
        await using var server = new RawServer(Scripts.CloseAfterRequest());
        await using var app = Create(sync => sync.IdempotencyKeyHeader = null);
        await QueueWhileDownAsync(app, server, "1");

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal(DeadLetterCause.MaybeProcessed, Assert.Single(await app.DeadLettersAsync()).Cause);
        Assert.Single(server.Requests);
    }

    [Fact]
    public async Task Every_attempt_bears_the_key_of_the_first()
    {
        await using var server = new RawServer(RawServer.Sequence(
            Scripts.CloseAfterRequest(), Scripts.ResetAfterRequest(), Scripts.Respond(503), Scripts.Respond(200)));
        await using var app = Create();
        await QueueAsync(app, server.Uri, "1");
        for (var i = 0; i < 3; i++)
        {
            await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        }

        Assert.Equal(4, server.Requests.Count);
        Assert.Single(server.Requests.Select(request => Assert.Single(request.ValuesOf("Idempotency-Key"))).Distinct());
        await EmptyAsync(app);
    }

    [Fact]
    public async Task A_server_that_never_answers_costs_an_attempt_each_time()
    {
        await using var server = new RawServer(Scripts.NeverAnswer());
        await using var app = Create(sync => sync.AttemptTimeout = TimeSpan.FromSeconds(10));
        await QueueWhileDownAsync(app, server, "1");

        var replaying = app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        await Eventually.TrueAsync(() => server.Requests.Count == 1, "the request is read");
        Clock.Advance(TimeSpan.FromSeconds(10));
        await replaying;

        var entry = Assert.Single(await app.EntriesAsync());
        Assert.Equal((1, false), (entry.Attempts, entry.IsLeased));
    }

    [Fact]
    public async Task An_entry_is_tried_as_often_as_is_allowed()
    {
        await using var server = new RawServer(Scripts.Respond(500));
        await using var app = Create(sync => sync.Retry.MaxAttempts = 3);
        await QueueWhileDownAsync(app, server, "1");
        for (var i = 0; i < 5; i++)
        {
            await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        }

        Assert.Equal(3, server.Requests.Count);
        var letter = Assert.Single(await app.DeadLettersAsync());
        Assert.Equal((DeadLetterCause.Exhausted, 500), (letter.Cause, letter.StatusCode));
    }

    [Fact]
    public async Task An_entry_expires_when_it_is_older_than_its_retention_and_not_before()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create(sync => sync.MaxRetentionTime = TimeSpan.FromMinutes(1));
        await QueueWhileDownAsync(app, server, "old");
        Clock.Advance(TimeSpan.FromMilliseconds(1));
        await QueueWhileDownAsync(app, server, "at the limit");
        Clock.Advance(TimeSpan.FromMinutes(1));

        var summary = await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal((1, 1, 0), (summary.Delivered, summary.DeadLettered, summary.Remaining));
        Assert.Equal(DeadLetterCause.Expired, Assert.Single(await app.DeadLettersAsync()).Cause);
        Assert.Equal("at the limit", Assert.Single(server.Requests).Text);
        Assert.Contains(app.Logs.Lines, line => line.EventId == 2005);
    }

    [Fact]
    public async Task A_dead_letter_can_be_sent_again_or_deleted()
    {
        await using var server = new RawServer(RawServer.Sequence(Scripts.Respond(400), Scripts.Respond(400), Scripts.Respond(200)));
        await using var app = Create();
        await QueueWhileDownAsync(app, server, "again", "away");
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        var letters = await app.DeadLettersAsync();

        Assert.True(await app.Queue.RequeueAsync(letters[0].Id));
        Assert.True(await app.Queue.DeleteDeadLetterAsync(letters[1].Id));
        Assert.False(await app.Queue.DeleteDeadLetterAsync(letters[1].Id));
        var summary = await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal((1, 0, 0), (summary.Delivered, summary.DeadLettered, summary.Remaining));
        Assert.Equal("again", server.Requests[^1].Text);
        Assert.Empty(await app.DeadLettersAsync());
    }

    [Theory]
    [InlineData(401)]
    [InlineData(407)]
    [InlineData(511)]
    public async Task Response_that_wants_credentials_holds_the_origin_until_a_live_success(int status)
    {
        await using var server = new RawServer(RawServer.Sequence(Scripts.Respond(status), Scripts.Respond(200)));
        await using var app = await StartAsync();
        await QueueWhileDownAsync(app, server, "1", "2");
        var held = app.Queue.UntilAsync(EntryEventKind.Held);
        app.Network.Raise(NetworkSignal.Available);
        await held;

        Assert.Null(await app.Queue.GetPauseAsync());
        using var live = await app.Client.PostAsync(server.Uri, new StringContent("live"));

        await Eventually.TrueAsync(() => server.Requests.Count == 4, "all arrive");
        Assert.Equal(["1", "live", "1", "2"], server.Requests.Select(static request => request.Text));
        await EmptyAsync(app);
    }

    [Fact]
    public async Task Pause_for_credentials_of_an_earlier_version_is_ended()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create();
        await QueueWhileDownAsync(app, server, "1");
        await app.Store.SetPauseAsync(
            TestApplication.QueueName, new(PauseCause.Credentials, "401", Clock.GetUtcNow()), CancellationToken.None);

        Assert.Equal(1, (await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan)).Delivered);
        Assert.Null(await app.Queue.GetPauseAsync());
    }

    [Fact]
    public async Task Only_the_application_ends_a_pause_of_its_own()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create();
        await QueueWhileDownAsync(app, server, "1");
        await app.Queue.PauseAsync("metered network");

        Assert.Equal(0, (await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan)).Delivered);
        Assert.Equal("metered network", (await app.Queue.GetPauseAsync())?.Reason);
        await app.Queue.ResumeAsync();

        Assert.Equal(1, (await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan)).Delivered);
    }

    [Fact]
    public async Task A_request_that_cannot_be_restored_becomes_a_dead_letter_and_the_queue_goes_on()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create();
        await app.Store.AddAsync(
            new NewEntry
            {
                Queue = TestApplication.QueueName,
                Request = new()
                {
                    Method = HttpMethod.Post,
                    Uri = server.Uri,
                    Headers = [new("X-Bad", "a\r\nX-Injected: b")],
                    ContentHeaders = [],
                },
                Timestamp = Clock.GetUtcNow(),
            },
            CancellationToken.None);
        await QueueWhileDownAsync(app, server, "good");

        var summary = await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal((1, 1, 0), (summary.Delivered, summary.DeadLettered, summary.Remaining));
        Assert.Equal(DeadLetterCause.Unreadable, Assert.Single(await app.DeadLettersAsync()).Cause);
        Assert.Equal("good", Assert.Single(server.Requests).Text);
    }

    [Fact]
    public async Task A_replay_is_not_queued_again_by_an_inner_queue()
    {
        await using var server = new RawServer(Scripts.CloseAfterRequest());
        await using var app = Create(inner: builder => builder.AddBackgroundSync("inner", sync => sync.Routes.Add("/nothing")));
        await QueueWhileDownAsync(app, server, "1");

        await app.Sync.ReplayAsync(Timeout.InfiniteTimeSpan);

        var inner = app.Services.GetRequiredKeyedService<IBackgroundSyncQueue>("inner");
        Assert.Equal((1, 0), ((await app.Queue.CountAsync()).Pending, (await inner.CountAsync()).Pending));
    }

    [Fact]
    public async Task What_an_inner_queue_has_taken_is_not_taken_twice()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create(inner: builder => builder.AddBackgroundSync("inner"));

        await QueueWhileDownAsync(app, server, "1");

        var inner = app.Services.GetRequiredKeyedService<IBackgroundSyncQueue>("inner");
        Assert.Equal((0, 1), ((await app.Queue.CountAsync()).Pending, (await inner.CountAsync()).Pending));
        await app.Sync.ReplayAsync(Timeout.InfiniteTimeSpan);
        Assert.Single(server.Requests);
    }

    [Fact]
    public async Task A_202_of_an_inner_queue_says_nothing_of_the_server()
    {
        await using var app = Create(
            inner: builder => builder.AddBackgroundSync("inner", sync => sync.WhenQueued = WhenQueued.ReturnAccepted));
        await app.Sync.StartAsync();
        var dead = new Uri($"http://127.0.0.1:{RawServer.RefusedPort()}/");

        using var first = await app.Client.PostAsync(dead, new StringContent("1"));
        using var second = await app.Client.PostAsync(dead, new StringContent("2"));

        // The origin is still shut: nothing was sent to it but the two live requests.
        Assert.Equal(2, (await app.Services.GetRequiredKeyedService<IBackgroundSyncQueue>("inner").CountAsync()).Pending);
        Assert.DoesNotContain(app.Logs.Lines, line => line.EventId == 2002);
        Assert.DoesNotContain(
            app.Logs.Lines, line => line.EventId == 3000 && line.Message.Contains("OriginReachable", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Logs_name_every_event_and_no_query_header_or_body()
    {
        await using var server = new RawServer(RawServer.Sequence(Scripts.Respond(503), Scripts.Respond(400), Scripts.Respond(200)));
        await using var app = Create(client: builder => builder.ConfigureHttpClient(
            client => client.DefaultRequestHeaders.Add("X-Secret", "header-secret")));
        var uri = new Uri(server.Uri, "/orders?token=query-secret");
        await server.StopAsync();
        await QueueAsync(app, uri, "body-secret");
        await QueueAsync(app, uri, "body-secret");
        server.Start();
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        var lines = app.Logs.Lines.Where(line => line.Category.StartsWith("BgSync.", StringComparison.Ordinal)).ToList();
        Assert.Superset(new HashSet<int> { 2000, 2002, 2003, 2004, 2005 }, lines.Select(line => line.EventId).ToHashSet());
        Assert.All(lines, line => Assert.DoesNotContain("-secret", line.Message + line.Exception, StringComparison.Ordinal));
    }
}
