using System.Text;
using BgSync.Http.Tests.Replay;
using Microsoft.Extensions.DependencyInjection;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Queue;

/// <summary>One entry of a queue, by its id; all of them at once; some of them by a filter.</summary>
public sealed class ByIdTests : ReplayFixture
{
    private const string Orders = "https://api.example.com/orders";

    [Fact]
    public async Task An_entry_is_found_read_and_removed()
    {
        await using var app = Create();
        var id = await app.Queue.PushAsync(Post("1"));

        Assert.Equal(Orders, (await app.Queue.FindAsync(id))!.Request.Uri.AbsoluteUri);
        Assert.Equal("1", await BodyAsync(app.Queue, id));
        Assert.True(await app.Queue.RemoveAsync(id));

        Assert.Null(await app.Queue.FindAsync(id));
        Assert.Null(await app.Queue.OpenBodyAsync(id));
        Assert.False(await app.Queue.RemoveAsync(id));
        Assert.Single(app.Logs.Lines, line => line.EventId == 2012);
        Assert.Equal(default, await app.Queue.CountAsync());
    }

    [Fact]
    public async Task An_entry_of_another_queue_is_not_there()
    {
        await using var app = Create(services: services => services.AddHttpClient("other").AddBackgroundSync("photos"));
        var photos = app.Services.GetRequiredKeyedService<IBackgroundSyncQueue>("photos");
        var id = await photos.PushAsync(Post("1"));

        Assert.Null(await app.Queue.FindAsync(id));
        Assert.Null(await app.Queue.OpenBodyAsync(id));
        Assert.False(await app.Queue.RemoveAsync(id));
        Assert.False(await app.Queue.EditAsync(id, _ => Assert.Fail("There is nothing to edit.")));
        Assert.Equal(0, await app.Queue.ClearAsync());
        Assert.Null(await app.Queue.ShiftAsync());
        Assert.Equal("1", await BodyAsync(photos, id));
    }

    [Fact]
    public async Task All_of_a_request_can_be_edited_but_what_the_entry_is_stays()
    {
        await using var app = Create();
        var made = Clock.GetUtcNow() - TimeSpan.FromHours(1);
        await app.Queue.PushAsync(Post("0"));
        var id = await app.Queue.PushAsync(Post("old"), made);
        await app.Queue.PushAsync(Post("2"));
        var before = (await app.Queue.FindAsync(id))!;

        Assert.True(await app.Queue.EditAsync(id, edit =>
        {
            edit.Request.Method = HttpMethod.Put;
            edit.Request.RequestUri = new Uri("https://new.example/orders?x=1");
            edit.Request.Headers.Add("X-Kind", "order");
            edit.Request.Headers.TryAddWithoutValidation("Authorization", "Bearer secret");
            edit.Request.Content = new StringContent("new", Encoding.UTF8, "application/json");
            edit.Lane = "express";
        }));

        var entries = await app.EntriesAsync();
        var after = entries[1];
        Assert.Equal((id, made, before.ExpiresAt, "express"), (after.Id, after.Timestamp, after.ExpiresAt, after.Lane));
        Assert.Equal((HttpMethod.Put, "https://new.example/orders?x=1"), (after.Request.Method, after.Request.Uri.AbsoluteUri));
        Assert.Equal(["Idempotency-Key", "X-Kind"], after.Request.Headers.Select(header => header.Key));
        Assert.Equal("application/json; charset=utf-8", Assert.Single(after.Request.ContentHeaders!).Value);
        Assert.Equal("new", await BodyAsync(app.Queue, id));
        Assert.Single(app.Logs.Lines, line => line.EventId == 2013);
    }

    [Fact]
    public async Task A_body_that_is_left_alone_is_kept_and_its_headers_may_change()
    {
        await using var app = Create();
        var bytes = TestBytes.Random(300_000);
        var id = await app.Queue.PushAsync(new HttpRequestMessage(HttpMethod.Put, Orders) { Content = new ByteArrayContent(bytes) });

        await app.Queue.EditAsync(id, edit => edit.Request.Content!.Headers.ContentType = new("image/png"));

        Assert.Equal(bytes, await app.BodyOfAsync(id));
        Assert.Equal("image/png", Assert.Single((await app.Queue.FindAsync(id))!.Request.ContentHeaders!).Value);

        await app.Queue.EditAsync(id, edit => edit.Request.Content = null);

        Assert.Null((await app.Queue.FindAsync(id))!.Request.ContentHeaders);
        Assert.Equal(new QueueCounts(1, 0, 0), await app.Queue.CountAsync());
    }

    [Fact]
    public async Task An_edit_mends_an_entry_that_its_server_does_not_take()
    {
        await using var server = new RawServer(RawServer.Sequence(Scripts.Respond(503), Scripts.Respond(201)));
        await using var app = Create();
        var id = await app.Queue.PushAsync(
            new HttpRequestMessage(HttpMethod.Post, server.Uri) { Content = new StringContent("two aples") });
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        await app.Queue.EditAsync(id, edit => edit.Request.Content = new StringContent("two apples"));
        Assert.Equal(1, (await app.Queue.FindAsync(id))!.Attempts);
        Assert.Equal(1, (await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan)).Delivered);

        Assert.Equal(["two aples", "two apples"], server.Requests.Select(request => request.Text));
        // The server may have the first one under its key, and would refuse another body.
        Assert.NotEqual(server.Requests[0].ValuesOf("Idempotency-Key"), server.Requests[1].ValuesOf("Idempotency-Key"));
        Assert.Single(app.Logs.Lines, line => line.EventId == 2018);
    }

    [Theory]
    [InlineData(0, true, false, false)]
    [InlineData(1, false, false, false)]
    [InlineData(1, true, true, false)]
    [InlineData(1, true, false, true)]
    public async Task Only_another_request_after_an_attempt_has_a_new_key(int attempts, bool isOther, bool hasOwnKey, bool isNew)
    {
        await using var server = new RawServer(Scripts.Respond(503));
        await using var app = Create();
        var id = await app.Queue.PushAsync(new HttpRequestMessage(HttpMethod.Post, server.Uri) { Content = new StringContent("1") });
        for (var i = 0; i < attempts; i++)
        {
            await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        }

        var before = KeyOf((await app.Queue.FindAsync(id))!);
        await app.Queue.EditAsync(id, edit =>
        {
            edit.Request.RequestUri = isOther ? new Uri(server.Uri, "/other") : edit.Request.RequestUri;
            edit.Request.Headers.Add("X-Edited", "1");
            if (hasOwnKey)
            {
                edit.Request.Headers.Remove("Idempotency-Key");
                edit.Request.Headers.Add("Idempotency-Key", "own");
            }
        });

        var after = KeyOf((await app.Queue.FindAsync(id))!);
        Assert.Equal(hasOwnKey ? "own" : isNew ? after : before, after);
        Assert.Equal(isNew || hasOwnKey, before != after);
    }

    private static string KeyOf(QueuedEntry entry) => entry.Request.Headers.Single(static header => header.Key == "Idempotency-Key").Value;

    [Fact]
    public async Task Nothing_is_edited_that_is_not_there()
    {
        await using var app = Create();

        Assert.False(await app.Queue.EditAsync(17, static _ => { }));
    }

    [Fact]
    public async Task What_is_in_flight_is_neither_edited_nor_removed_nor_cleared()
    {
        var answer = new TaskCompletionSource();
        await using var server = SlowServer(answer.Task);
        await using var app = await StartAsync();
        var id = await app.Queue.PushAsync(new HttpRequestMessage(HttpMethod.Post, server.Uri) { Content = new StringContent("1") });
        await Eventually.TrueAsync(() => server.Requests.Count == 1, "it is being sent");
        await app.Queue.PushAsync(new HttpRequestMessage(HttpMethod.Post, server.Uri) { Content = new StringContent("2") });

        var editing = await Assert.ThrowsAsync<EntryInFlightException>(async () => await app.Queue.EditAsync(id, edit => edit.Lane = "x"));
        await Assert.ThrowsAsync<EntryInFlightException>(async () => await app.Queue.RemoveAsync(id));
        Assert.Equal(1, await app.Queue.ClearAsync());

        Assert.Equal((TestApplication.QueueName, id), (editing.Queue, editing.EntryId));
        Assert.Equal("", Assert.Single(await app.EntriesAsync()).Lane);
        Assert.Single(app.Logs.Lines, line => line.EventId == 2014);
        answer.SetResult();
        await EmptyAsync(app);
        Assert.Single(server.Requests);
    }

    [Fact]
    public async Task A_bad_edit_changes_nothing()
    {
        await using var app = Create(sync => sync.Limits.MaxBodyLength = 10);
        var id = await app.Queue.PushAsync(Post("1"));
        var before = (await app.Queue.FindAsync(id))!;

        await Assert.ThrowsAsync<ArgumentNullException>(async () => await app.Queue.EditAsync(id, null!));
        await Assert.ThrowsAsync<ArgumentNullException>(async () => await app.Queue.EditAsync(id, edit => edit.Lane = null!));
        await Assert.ThrowsAsync<ArgumentException>(
            async () => await app.Queue.EditAsync(id, edit => edit.Request.RequestUri = new Uri("/orders", UriKind.Relative)));
        await Assert.ThrowsAsync<InvalidOperationException>(
            async () => await app.Queue.EditAsync(id, edit => edit.Request.Content = new StringContent("eleven byte")));
        await Assert.ThrowsAsync<FormatException>(async () => await app.Queue.EditAsync(id, _ => throw new FormatException("yours")));

        Assert.Equal(before.Revision, (await app.Queue.FindAsync(id))!.Revision);
        Assert.Equal("1", await BodyAsync(app.Queue, id));
    }

    [Fact(Timeout = 60_000)]
    public async Task Of_edits_at_the_same_time_none_is_lost()
    {
        await using var app = Create();
        var id = await app.Queue.PushAsync(Post("1"));

        await Task.WhenAll(Enumerable.Range(0, 20).Select(i => Task.Run(async () =>
            Assert.True(await app.Queue.EditAsync(id, edit => edit.Request.Headers.Add("X-Edit", $"{i}"))))));

        var headers = (await app.Queue.FindAsync(id))!.Request.Headers.Where(header => header.Key == "X-Edit");
        Assert.Equal(Enumerable.Range(0, 20).Select(i => $"{i}").Order(), headers.Select(header => header.Value).Order());
    }

    [Fact]
    public async Task A_clear_removes_more_than_a_batch_and_leaves_the_dead_letters()
    {
        await using var server = new RawServer(Scripts.Respond(400));
        await using var app = Create();
        await app.Queue.PushAsync(new HttpRequestMessage(HttpMethod.Put, server.Uri));
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        await Task.WhenAll(Enumerable.Range(0, 250).Select(i => app.Queue.PushAsync(Post($"{i}")).AsTask()));

        Assert.Equal(250, await app.Queue.ClearAsync());

        Assert.Equal(new QueueCounts(0, 1, 0), await app.Queue.CountAsync());
        Assert.Contains(app.Logs.Lines, line => line.EventId == 2014 && line.Message.Contains("250", StringComparison.Ordinal));
    }

    [Fact]
    public async Task All_dead_letters_are_requeued_in_the_order_of_dying()
    {
        await using var server = new RawServer(Scripts.Respond(400));
        await using var app = Create();
        for (var i = 0; i < 3; i++)
        {
            await app.Queue.PushAsync(new HttpRequestMessage(HttpMethod.Put, server.Uri) { Content = new StringContent($"{i}") });
        }

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        Assert.Equal(new QueueCounts(0, 3, 0), await app.Queue.CountAsync());

        Assert.Equal(3, await app.Queue.RequeueAllAsync());

        Assert.Equal(new QueueCounts(3, 0, 3), await app.Queue.CountAsync());
        Assert.Equal(["0", "1", "2"], await Task.WhenAll((await app.EntriesAsync()).Select(entry => BodyAsync(app.Queue, entry.Id))));
        Assert.Equal(0, await app.Queue.RequeueAllAsync());
    }

    [Fact]
    public async Task A_filter_picks_by_lane_state_age_method_and_address()
    {
        var answer = new TaskCompletionSource();
        await using var server = SlowServer(answer.Task);
        await using var app = Create(sync => sync.LaneBy(static request => request.RequestUri!.Segments[^1]));
        await app.Queue.PushAsync(new HttpRequestMessage(HttpMethod.Put, new Uri(server.Uri, "sending")));
        var replaying = app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        await Eventually.TrueAsync(() => server.Requests.Count == 1, "the first is being sent");
        await app.Queue.PauseAsync("The others wait.");
        await app.Queue.PushAsync(
            new HttpRequestMessage(HttpMethod.Post, "https://a.example/x/due"), Clock.GetUtcNow() - TimeSpan.FromHours(2));
        await app.Queue.PushAsync(
            new HttpRequestMessage(HttpMethod.Put, "https://a.example/y/due"), Clock.GetUtcNow() - TimeSpan.FromHours(1));

        Assert.Equal(["/x/due", "/y/due"], await PathsAsync(new() { Lane = "due" }));
        Assert.Equal(["/sending"], await PathsAsync(new() { State = EntryState.InFlight }));
        Assert.Equal(["/x/due"], await PathsAsync(new() { State = EntryState.Due }));
        Assert.Equal(["/y/due"], await PathsAsync(new() { State = EntryState.Waiting }));
        Assert.Equal(["/x/due"], await PathsAsync(new() { MinAge = TimeSpan.FromHours(2) }));
        Assert.Equal(["/sending", "/y/due"], await PathsAsync(new() { MaxAge = TimeSpan.FromHours(1) }));
        Assert.Equal(["/sending", "/y/due"], await PathsAsync(new() { Method = HttpMethod.Put }));
        Assert.Equal(["/x/due"], await PathsAsync(new() { UriPrefix = "https://a.example/x" }));
        Assert.Equal(
            ["/y/due"], await PathsAsync(new() { Method = HttpMethod.Put, Predicate = entry => entry.Request.Uri.Host == "a.example" }));
        Assert.Equal(3, (await PathsAsync(new())).Count);
        Assert.Throws<ArgumentNullException>(() => app.Queue.GetAllAsync(null!));
        answer.SetResult();
        await replaying;

        async Task<List<string>> PathsAsync(EntryFilter filter) =>
            await app.Queue.GetAllAsync(filter).Select(entry => entry.Request.Uri.AbsolutePath).ToListAsync();
    }

    private static RawServer SlowServer(Task answer) => new(async (connection, cancellationToken) =>
    {
        await connection.ReadRequestAsync(cancellationToken);
        await answer.WaitAsync(cancellationToken);
        await connection.RespondAsync(201, "", [], cancellationToken);
    });

    private static HttpRequestMessage Post(string body) => new(HttpMethod.Post, Orders) { Content = new StringContent(body) };

    private static async Task<string> BodyAsync(IBackgroundSyncQueue queue, long id)
    {
        using var reader = new StreamReader((await queue.OpenBodyAsync(id))!);
        return await reader.ReadToEndAsync();
    }
}
