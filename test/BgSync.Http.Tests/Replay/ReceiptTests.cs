using System.Text;
using Microsoft.Extensions.DependencyInjection;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Replay;

/// <summary>The receipt of an entry that has ended, and the part of its response that is kept.</summary>
public sealed class ReceiptTests : ReplayFixture
{
    [Fact]
    public async Task A_receipt_says_of_a_delivered_entry_when_and_how_it_was_answered()
    {
        await using var server = new RawServer(
            Scripts.Respond(201, "made", ("X-Many", "1"), ("Content-Type", "text/plain"), ("X-Many", "2")));
        await using var app = Create();
        var id = await QueueOneAsync(app, server);
        Clock.Advance(TimeSpan.FromMinutes(1));

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        var receipt = await ReceiptAsync(app, id);
        Assert.Equal((id, TestApplication.QueueName, ReceiptState.Delivered), (receipt.Id, receipt.Queue, receipt.State));
        Assert.Equal((Clock.GetUtcNow(), 201, null, null), (receipt.At, receipt.StatusCode, receipt.Cause, receipt.Error));
        AssertKept("made", isWhole: true, receipt.Response);
        Assert.Equal([new("X-Many", "1"), new("X-Many", "2"), new("Content-Type", "text/plain")], receipt.Response!.Headers);
    }

    [Fact]
    public async Task A_receipt_outlives_the_process()
    {
        using var directory = new TempDirectory();
        await using var server = new RawServer(Scripts.Respond(201, "made"));
        long id;
        await using (var first = Create(directory: directory))
        {
            id = await QueueOneAsync(first, server);
            await first.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        }

        await using var second = Create(directory: directory);

        AssertKept("made", isWhole: true, (await ReceiptAsync(second, id)).Response);
    }

    [Fact]
    public async Task Neither_cookies_and_secrets_nor_headers_of_the_connection_are_kept()
    {
        await using var server = new RawServer(Scripts.Respond(
            200,
            ("Set-Cookie", "id=secret"), ("X-Token", "secret"), ("Authorization", "secret"), ("Keep-Alive", "timeout=5"),
            ("Proxy-Authenticate", "Basic"), ("ETag", "\"1\"")));
        await using var app = Create(sync => sync.Capture.SecretHeaders.Add("x-token"));
        var id = await QueueOneAsync(app, server);

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal([new("ETag", "\"1\"")], (await ReceiptAsync(app, id)).Response!.Headers);
    }

    [Theory]
    [InlineData(3, "mad", false)]
    [InlineData(4, "made", true)]
    [InlineData(1024 * 1024, "made", true)]
    public async Task A_body_is_kept_up_to_the_limit(int limit, string kept, bool isWhole)
    {
        await using var server = new RawServer(Scripts.Respond(200, "made"));
        await using var app = Create(sync => sync.Receipts.ResponseBodyLength = limit);
        var id = await QueueOneAsync(app, server);

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        AssertKept(kept, isWhole, (await ReceiptAsync(app, id)).Response);
    }

    [Fact]
    public async Task With_a_limit_of_zero_no_more_than_the_status_is_kept()
    {
        await using var server = new RawServer(RawServer.Sequence(Scripts.Respond(200, "made"), Scripts.Respond(422, "bad")));
        await using var app = Create(sync => sync.Receipts.ResponseBodyLength = 0);
        var delivered = await QueueOneAsync(app, server);
        var dead = await QueueOneAsync(app, server);

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        var receipts = (Delivered: await ReceiptAsync(app, delivered), DeadLettered: await ReceiptAsync(app, dead));
        Assert.Equal((200, null), (receipts.Delivered.StatusCode, receipts.Delivered.Response));
        Assert.Equal((422, null), (receipts.DeadLettered.StatusCode, receipts.DeadLettered.Response));
    }

    [Fact]
    public async Task A_body_that_breaks_off_is_cut_there_and_the_entry_is_delivered()
    {
        await using var server = new RawServer(Scripts.TruncateBody(200));
        await using var app = Create();
        var id = await QueueOneAsync(app, server);

        Assert.Equal(1, (await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan)).Delivered);

        AssertKept("but ten", isWhole: false, (await ReceiptAsync(app, id)).Response);
        Assert.Single(server.Requests);
    }

    [Fact]
    public async Task A_body_without_an_end_is_cut_at_the_limit_and_the_entry_is_delivered()
    {
        await using var server = new RawServer(Scripts.EndlessBody(200));
        await using var app = Create();
        var id = await QueueOneAsync(app, server);

        Assert.Equal(1, (await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan)).Delivered);

        AssertKept(new string('x', 4096), isWhole: false, (await ReceiptAsync(app, id)).Response);
    }

    [Theory]
    [InlineData(10, 5)]
    [InlineData(-1, 5)]
    public async Task Body_that_does_not_come_is_cut_after_five_seconds_and_the_entry_is_delivered(int timeout, int seconds)
    {
        await using var server = new RawServer(Scripts.StallBody(200));
        await using var app = Create(sync => sync.AttemptTimeout = timeout < 0 ? Timeout.InfiniteTimeSpan : TimeSpan.FromSeconds(timeout));
        var id = await QueueOneAsync(app, server);
        var began = Clock.GetUtcNow();

        var replaying = app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        await AdvanceUntilAsync(() => replaying.IsCompleted, "the replay ends");

        Assert.Equal(1, (await replaying).Delivered);
        var receipt = await ReceiptAsync(app, id);
        Assert.True(receipt.At - began >= TimeSpan.FromSeconds(seconds), $"{receipt.At - began}");
        AssertKept("but ten", isWhole: false, receipt.Response);
        Assert.Single(server.Requests);
    }

    [Fact]
    public async Task A_stop_while_a_body_does_not_come_does_not_make_what_was_delivered_be_sent_again()
    {
        await using var server = new RawServer(Scripts.StallBody(200));
        var responses = 0;
        await using var app = Create(inner: builder => builder.AddHttpMessageHandler(() => new CountingHandler(() => responses++)));
        await app.Sync.StartAsync();
        var id = await QueueOneAsync(app, server);

        await AdvanceUntilAsync(() => responses == 1, "the response has begun");

        await app.Sync.StopAsync(new CancellationToken(canceled: true));

        await EmptyAsync(app);
        Assert.Equal(ReceiptState.Delivered, (await ReceiptAsync(app, id)).State);
    }

    [Fact]
    public async Task The_body_of_a_response_that_is_not_the_last_is_not_waited_for()
    {
        await using var server = new RawServer(Scripts.StallBody(503));
        await using var app = Create();
        var id = await QueueOneAsync(app, server);

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal(1, Assert.Single(await app.EntriesAsync()).Attempts);
        Assert.Equal(ReceiptState.Queued, (await ReceiptAsync(app, id)).State);
    }

    [Theory]
    [InlineData(4096)]
    [InlineData(5)]
    [InlineData(0)]
    public async Task What_is_kept_is_still_there_for_OnReplayed_and_so_is_the_rest(int limit)
    {
        var body = string.Concat(Enumerable.Range(0, 10_000));
        List<string> seen = [];
        await using var server = new RawServer(Scripts.Respond(200, body, ("Content-Language", "en")));
        await using var app = Create(sync =>
        {
            sync.Receipts.ResponseBodyLength = limit;
            sync.OnReplayed = async (context, token) =>
            {
                seen.Add(context.Response.Content.Headers.ContentLanguage.Single());
                seen.Add(await context.Response.Content.ReadAsStringAsync(token));
                seen.Add(await context.Response.Content.ReadAsStringAsync(token));
            };
        });
        var id = await QueueOneAsync(app, server);

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal(["en", body, body], seen);
        Assert.Equal(limit == 0 ? null : limit, (await ReceiptAsync(app, id)).Response?.Body.Length);
    }

    [Theory]
    [InlineData(true, 4096)]
    [InlineData(false, 4096)]
    [InlineData(true, 3)]
    [InlineData(false, 3)]
    public async Task OnReplayed_is_told_of_a_body_that_breaks_off_however_often_it_reads(bool isStream, int limit)
    {
        List<(string Read, bool Failed)> seen = [];
        await using var server = new RawServer(Scripts.TruncateBody(200));
        await using var app = Create(sync =>
        {
            sync.Receipts.ResponseBodyLength = limit;
            sync.OnReplayed = async (context, token) =>
            {
                for (var i = 0; i < 2; i++)
                {
                    using var read = new MemoryStream();
                    try
                    {
                        await (isStream
                            ? (await context.Response.Content.ReadAsStreamAsync(token)).CopyToAsync(read, token)
                            : context.Response.Content.CopyToAsync(read, token));
                        seen.Add((Encoding.UTF8.GetString(read.ToArray()), false));
                    }
                    catch (Exception)
                    {
                        seen.Add((Encoding.UTF8.GetString(read.ToArray()), true));
                    }
                }
            };
        });
        await QueueOneAsync(app, server);

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal([("but ten", true), ("", true)], seen);
    }

    [Fact]
    public async Task A_dead_letter_and_its_receipt_bear_the_cause_and_the_start_of_the_response()
    {
        DeadLetter? told = null;
        await using var server = new RawServer(Scripts.Respond(422, "no such product", ("X-Trace", "7")));
        await using var app = Create(sync =>
        {
            sync.Receipts.ResponseBodyLength = 7;
            sync.OnDeadLettered = (letter, _) =>
            {
                told = letter;
                return Task.CompletedTask;
            };
        });
        var id = await QueueOneAsync(app, server);

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        var receipt = await ReceiptAsync(app, id);
        Assert.Equal((ReceiptState.DeadLettered, DeadLetterCause.Rejected, 422), (receipt.State, receipt.Cause, receipt.StatusCode));
        Assert.Equal("The server answered 422.", receipt.Error);
        AssertKept("no such", isWhole: false, receipt.Response);
        AssertKept("no such", isWhole: false, Assert.Single(await app.DeadLettersAsync()).Response);
        Assert.Equal([new("X-Trace", "7")], Assert.Single(await app.DeadLettersAsync()).Response!.Headers);
        await Eventually.TrueAsync(() => told is not null, "the hook is told");
        AssertKept("no such", isWhole: false, told!.Response);
    }

    [Fact]
    public async Task An_exhausted_entry_keeps_its_last_response()
    {
        await using var server = new RawServer(RawServer.Sequence(Scripts.Respond(500, "first"), Scripts.Respond(503, "last")));
        await using var app = Create(sync => sync.Retry.MaxAttempts = 2);
        var id = await QueueOneAsync(app, server);

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        var receipt = await ReceiptAsync(app, id);
        Assert.Equal((DeadLetterCause.Exhausted, 503), (receipt.Cause, receipt.StatusCode));
        AssertKept("last", isWhole: true, receipt.Response);
    }

    [Fact]
    public async Task What_is_queued_is_queued_and_what_was_never_there_or_was_removed_is_not_known()
    {
        await using var app = Create();
        var made = Clock.GetUtcNow().AddMinutes(-1);
        var id = await app.Queue.PushAsync(new(HttpMethod.Post, "http://api.example.com/"), made);
        Assert.Equal((ReceiptState.Queued, made), ((await ReceiptAsync(app, id)).State, (await ReceiptAsync(app, id)).At));

        await app.Queue.RemoveAsync(id);

        Assert.Null(await app.Queue.GetReceiptAsync(id));
        Assert.Null(await app.Queue.GetReceiptAsync(id + 1));
    }

    [Fact]
    public async Task A_dead_letter_that_is_queued_again_is_queued_and_one_that_is_deleted_is_still_dead()
    {
        await using var server = new RawServer(Scripts.Respond(422));
        await using var app = Create();
        var id = await QueueOneAsync(app, server);
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        await app.Queue.RequeueAsync(id);
        Assert.Equal(ReceiptState.Queued, (await ReceiptAsync(app, id)).State);
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        await app.Queue.DeleteDeadLetterAsync(id);

        Assert.Equal(
            (ReceiptState.DeadLettered, DeadLetterCause.Rejected), (
                (await ReceiptAsync(app, id)).State, (await ReceiptAsync(app, id)).Cause));
    }

    [Fact]
    public async Task Receipts_are_forgotten_when_they_are_older_than_their_retention_and_not_before()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create(sync => sync.Receipts.Retention = TimeSpan.FromHours(1));
        List<long> old = [];
        for (var i = 0; i < 205; i++)
        {
            old.Add(await app.Queue.PushAsync(new(HttpMethod.Put, server.Uri)));
        }

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        Clock.Advance(TimeSpan.FromMinutes(1));
        var young = await app.Queue.PushAsync(new(HttpMethod.Put, server.Uri));
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Clock.Advance(TimeSpan.FromMinutes(59));
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        Assert.NotNull(await app.Queue.GetReceiptAsync(old[0]));
        Clock.Advance(TimeSpan.FromMinutes(1));
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        foreach (var id in old)
        {
            Assert.Null(await app.Queue.GetReceiptAsync(id));
        }

        Assert.NotNull(await app.Queue.GetReceiptAsync(young));
    }

    [Fact]
    public async Task Receipts_may_be_kept_for_ever_or_not_at_all()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var ever = Create(sync => sync.Receipts.Retention = Timeout.InfiniteTimeSpan);
        await using var never = Create(sync => sync.Receipts.Retention = TimeSpan.Zero);
        var kept = await QueueOneAsync(ever, server);
        var dropped = await QueueOneAsync(never, server);

        await never.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        Assert.Null(await never.Queue.GetReceiptAsync(dropped));
        await ever.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        Clock.Advance(TimeSpan.FromDays(10_000));
        await ever.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.NotNull(await ever.Queue.GetReceiptAsync(kept));
    }

    private static async Task<long> QueueOneAsync(TestApplication app, RawServer server)
    {
        await server.StopAsync();
        using var request = new HttpRequestMessage(HttpMethod.Post, server.Uri) { Content = new StringContent("1") };
        var queued = await Assert.ThrowsAsync<RequestQueuedException>(() => app.Client.SendAsync(request));
        server.Start();
        return queued.EntryId;
    }

    private static async Task<Receipt> ReceiptAsync(TestApplication app, long id) => (await app.Queue.GetReceiptAsync(id))!;

    private static void AssertKept(string body, bool isWhole, StoredResponse? kept) =>
        Assert.Equal((body, isWhole), (Encoding.UTF8.GetString(kept!.Body.Span), kept.IsWhole));

    /// <summary>Counts the responses whose headers have arrived.</summary>
    private sealed class CountingHandler(Action arrived) : DelegatingHandler
    {
        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            var response = await base.SendAsync(request, cancellationToken);
            arrived();
            return response;
        }
    }
}
