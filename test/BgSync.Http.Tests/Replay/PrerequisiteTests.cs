using System.Globalization;
using System.Text.Json;
using BgSync.Http.Storage;
using BgSync.Http.Storage.Memory;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Replay;

/// <summary>Entries that wait for others: when they are sent, what they are made of, and what becomes of them.</summary>
public sealed class PrerequisiteTests : ReplayFixture
{
    [Fact]
    public async Task An_entry_is_sent_once_the_one_that_it_waits_for_was_delivered_whatever_their_lanes()
    {
        await using var server = new RawServer(RawServer.Sequence(
            Scripts.Respond(503), Scripts.Respond(503), Scripts.Respond(201), Scripts.Respond(200)));
        await using var app = Create(LaneByPath);
        var order = await PushAsync(app, server, "/orders");
        await PushAsync(app, server, "/lines", order);

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        Assert.Equal(["/orders", "/orders"], Targets(server));

        var summary = await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        Assert.Equal(["/orders", "/orders", "/orders", "/lines"], Targets(server));
        Assert.Equal((2, 0, 0), (summary.Delivered, summary.DeadLettered, summary.Remaining));
    }

    [Fact]
    public async Task An_entry_waits_after_a_restart_too()
    {
        using var directory = new TempDirectory();
        await using var server = new RawServer(RawServer.Sequence(Scripts.Respond(503), Scripts.Respond(200)));
        await using (var before = Create(LaneByPath, directory))
        {
            var order = await PushAsync(before, server, "/orders");
            await PushAsync(before, server, "/a-lines", order);
            await before.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        }

        await using var app = Create(LaneByPath, directory);
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal(["/orders", "/orders", "/a-lines"], Targets(server));
        await EmptyAsync(app);
    }

    [Fact]
    public async Task The_request_is_made_anew_from_the_response_at_each_attempt_and_after_a_restart()
    {
        using var directory = new TempDirectory();
        await using var server = new RawServer(RawServer.Sequence(
            Scripts.Respond(201, """{"id":42}""", ("Content-Type", "application/json")), Scripts.Respond(503), Scripts.Respond(200)));
        await using (var before = Create(Rewriting, directory))
        {
            var order = await PushAsync(before, server, "/orders");
            await PushAsync(before, server, "/orders/tmp-17/lines", order);
            await before.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
            Assert.Equal("/orders/tmp-17/lines", Assert.Single(await before.EntriesAsync()).Request.Uri.AbsolutePath);
        }

        await using var app = Create(Rewriting, directory);
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal(["/orders", "/orders/42/lines", "/orders/42/lines"], Targets(server));
        await EmptyAsync(app);
    }

    [Fact]
    public async Task An_entry_without_a_prerequisite_is_told_of_none()
    {
        var told = new List<Receipt?>();
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create(sync => sync.OnReplaying = (context, _) =>
        {
            told.Add(context.Prerequisite);
            return Task.CompletedTask;
        });
        var first = await PushAsync(app, server, "/1");
        await PushAsync(app, server, "/2", first);

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Null(told[0]);
        Assert.Equal((first, ReceiptState.Delivered, 200), (told[1]!.Id, told[1]!.State, told[1]!.StatusCode));
    }

    [Fact]
    public async Task What_was_delivered_may_be_waited_for_still()
    {
        await using var server = new RawServer(Scripts.Respond(200, """{"id":42}"""));
        await using var app = Create(Rewriting);
        var order = await PushAsync(app, server, "/orders");
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        await PushAsync(app, server, "/orders/tmp-17/lines", order);
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal(["/orders", "/orders/42/lines"], Targets(server));
    }

    [Fact]
    public async Task If_an_entry_dies_those_that_wait_for_it_die_one_after_another_and_the_queue_goes_on()
    {
        await using var server = new RawServer(async (connection, cancellationToken) =>
        {
            var request = await connection.ReadRequestAsync(cancellationToken);
            await connection.RespondAsync(request.Target == "/orders" ? 422 : 200, "", [], cancellationToken);
        });
        await using var app = Create(LaneByPath);
        var order = await PushAsync(app, server, "/orders");
        var line = await PushAsync(app, server, "/lines", order);
        var note = await PushAsync(app, server, "/notes", line);
        await PushAsync(app, server, "/notes");

        var summary = await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal((1, 3, 0), (summary.Delivered, summary.DeadLettered, summary.Remaining));
        Assert.Equal(["/orders", "/notes"], Targets(server));
        var letters = await app.DeadLettersAsync();
        Assert.Equal(
            [
                (order, DeadLetterCause.Rejected, "The server answered 422."),
                (line, DeadLetterCause.PrerequisiteFailed,
                    $"Entry {order}, which was to be delivered first, became a dead letter (Rejected): The server answered 422."),
                (note, DeadLetterCause.PrerequisiteFailed,
                    $"Entry {line}, which was to be delivered first, became a dead letter (PrerequisiteFailed)."),
            ],
            letters.Select(letter => (letter.Id, letter.Cause, letter.Error!)));
    }

    [Fact]
    public async Task Dead_letters_of_a_chain_that_are_put_back_in_order_wait_for_each_other_again()
    {
        await using var server = new RawServer(RawServer.Sequence(Scripts.Respond(422), Scripts.Respond(503), Scripts.Respond(200)));
        await using var app = Create(LaneByPath);
        var order = await PushAsync(app, server, "/orders");
        var line = await PushAsync(app, server, "/lines", order);
        await PushAsync(app, server, "/a-notes", line);
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal(3, await app.Queue.RequeueAllAsync());
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal(["/orders", "/orders", "/orders", "/lines", "/a-notes"], Targets(server));
        await EmptyAsync(app);
    }

    [Fact]
    public async Task An_entry_whose_prerequisite_was_put_back_behind_it_dies_and_says_so()
    {
        await using var server = new RawServer(Scripts.Respond(422));
        await using var app = Create(LaneByPath);
        var order = await PushAsync(app, server, "/orders", deadline: Clock.GetUtcNow());
        var line = await PushAsync(app, server, "/lines", order);
        Clock.Advance(TimeSpan.FromMilliseconds(1));
        await app.Store.ExpireAsync(TestApplication.QueueName, 1, keep: true, CancellationToken.None);
        Assert.True(await app.Queue.RequeueAsync(order));

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        var letter = Assert.Single(await app.DeadLettersAsync(), letter => letter.Id == line);
        Assert.Equal(
            (DeadLetterCause.PrerequisiteFailed, $"Entry {order}, which was to be delivered first, failed, and was put back since."),
            (letter.Cause, letter.Error));
        Assert.Equal(["/orders"], Targets(server));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_entry_dies_if_the_one_that_it_waits_for_is_taken_away_by_hand(bool isCleared)
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create(LaneByPath);
        var order = await PushAsync(app, server, "/orders");
        var line = await PushAsync(app, server, "/lines", order);
        if (isCleared)
        {
            await app.Store.ClearAsync(TestApplication.QueueName, 1, CancellationToken.None);
        }
        else
        {
            Assert.True(await app.Queue.RemoveAsync(order));
        }

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        var letter = Assert.Single(await app.DeadLettersAsync());
        Assert.Equal(
            (line, DeadLetterCause.PrerequisiteFailed,
                $"Entry {order}, which was to be delivered first, was removed, or its receipt is gone."),
            (letter.Id, letter.Cause, letter.Error));
        Assert.Empty(server.Requests);
    }

    [Fact]
    public async Task An_entry_may_expire_while_it_waits_and_the_one_that_it_waited_for_stays()
    {
        await using var server = new RawServer(Scripts.Respond(503));
        await using var app = Create(LaneByPath);
        var order = await PushAsync(app, server, "/orders");
        var line = await PushAsync(app, server, "/lines", order, deadline: Clock.GetUtcNow() + TimeSpan.FromHours(1));

        Clock.Advance(TimeSpan.FromHours(2));
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        var letter = Assert.Single(await app.DeadLettersAsync());
        Assert.Equal((line, DeadLetterCause.Expired), (letter.Id, letter.Cause));
        Assert.Equal(order, Assert.Single(await app.EntriesAsync()).Id);
    }

    [Fact]
    public async Task An_entry_dies_if_the_one_that_it_waits_for_expires()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create();
        var order = await PushAsync(app, server, "/orders", deadline: Clock.GetUtcNow());
        await PushAsync(app, server, "/lines", order);

        Clock.Advance(TimeSpan.FromMilliseconds(1));
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal(
            [DeadLetterCause.Expired, DeadLetterCause.PrerequisiteFailed],
            (await app.DeadLettersAsync()).Select(letter => letter.Cause));
        Assert.Empty(server.Requests);
    }

    [Fact]
    public async Task A_paused_queue_sends_neither_and_keeps_the_order_when_it_goes_on()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create(LaneByPath);
        await app.Queue.PauseAsync("lunch");
        var order = await PushAsync(app, server, "/orders");
        await PushAsync(app, server, "/a-lines", order);
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        Assert.Empty(server.Requests);

        await app.Queue.ResumeAsync();
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal(["/orders", "/a-lines"], Targets(server));
    }

    [Fact(Timeout = 60_000)]
    public async Task A_thousand_entries_that_wait_for_one_are_all_sent_when_it_was_delivered()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create(LaneByPath);
        var order = await PushAsync(app, server, "/orders");
        await Task.WhenAll(Enumerable.Range(0, 1000).Select(i => PushAsync(app, server, $"/lines/{i}", order)));
        Assert.All((await app.EntriesAsync()).Skip(1), entry => Assert.Null(entry.DueAt));

        var summary = await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal((1001, 0, 0), (summary.Delivered, summary.DeadLettered, summary.Remaining));
        Assert.Equal("/orders", Targets(server).First());
        Assert.Equal(1001, Targets(server).Distinct().Count());
    }

    [Fact]
    public async Task An_edit_may_name_another_entry_or_none_but_make_no_cycle()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create(LaneByPath);
        var first = await PushAsync(app, server, "/1");
        var second = await PushAsync(app, server, "/2", first);
        var third = await PushAsync(app, server, "/3");

        Assert.True(await app.Queue.EditAsync(third, edit => edit.Prerequisite = second));
        Assert.Equal(second, (await app.Queue.FindAsync(third))!.Prerequisite);
        foreach (var cycle in (long[])[first, second, third])
        {
            var refused = await Assert.ThrowsAsync<PrerequisiteException>(
                async () => await app.Queue.EditAsync(first, edit => edit.Prerequisite = cycle));
            Assert.Contains("only for one that stands before it", refused.Message, StringComparison.Ordinal);
        }

        Assert.Null((await app.Queue.FindAsync(first))!.Prerequisite);
        Assert.True(await app.Queue.EditAsync(second, edit =>
        {
            Assert.Equal(first, edit.Prerequisite);
            edit.Prerequisite = null;
        }));
        Assert.NotNull((await app.Queue.FindAsync(second))!.DueAt);

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        Assert.Equal("/3", Targets(server).Last());
        await EmptyAsync(app);
    }

    [Fact]
    public async Task An_edit_of_something_else_leaves_a_prerequisite_that_was_put_back_as_it_is()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create();
        var order = await PushAsync(app, server, "/orders", deadline: Clock.GetUtcNow());
        var line = await PushAsync(app, server, "/lines", order);
        Clock.Advance(TimeSpan.FromMilliseconds(1));
        await app.Store.ExpireAsync(TestApplication.QueueName, 1, keep: true, CancellationToken.None);
        await app.Queue.RequeueAsync(order);

        Assert.True(await app.Queue.EditAsync(line, edit => edit.Lane = "other"));

        Assert.Equal(("other", order), ((await app.Queue.FindAsync(line))!.Lane, (await app.Queue.FindAsync(line))!.Prerequisite));
    }

    [Fact]
    public async Task An_edit_cannot_name_what_is_not_there()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create();
        var id = await PushAsync(app, server, "/1");

        var refused = await Assert.ThrowsAsync<PrerequisiteException>(
            async () => await app.Queue.EditAsync(id, edit => edit.Prerequisite = 1_000_000));

        Assert.Contains("has no entry 1000000", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_cannot_be_waited_for_is_refused_at_once()
    {
        await using var server = new RawServer(Scripts.Respond(422));
        await using var app = Create(services: services => services.AddHttpClient("other").AddBackgroundSync("photos"));
        var photos = app.Services.GetRequiredKeyedService<IBackgroundSyncQueue>("photos");
        var elsewhere = await photos.PushAsync(Post(server, "/photos"));
        var dead = await PushAsync(app, server, "/dead");
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        var unknown = await Assert.ThrowsAsync<PrerequisiteException>(() => PushAsync(app, server, "/1", 1_000_000));
        var others = await Assert.ThrowsAsync<PrerequisiteException>(() => PushAsync(app, server, "/1", elsewhere));
        var late = await Assert.ThrowsAsync<PrerequisiteException>(() => PushAsync(app, server, "/1", dead));

        Assert.Contains("Queue 'test' has no entry 1000000 to wait for", unknown.Message, StringComparison.Ordinal);
        Assert.Contains("it is of another queue", others.Message, StringComparison.Ordinal);
        Assert.Contains("it is a dead letter (Rejected)", late.Message, StringComparison.Ordinal);
        Assert.Empty(await app.EntriesAsync());
    }

    [Fact]
    public async Task An_entry_cannot_be_put_before_the_one_that_it_waits_for()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create();
        var first = await PushAsync(app, server, "/1");
        using var request = Post(server, "/2", first);

        await Assert.ThrowsAsync<PrerequisiteException>(async () => await app.Queue.UnshiftAsync(request));
        Assert.Single(await app.EntriesAsync());

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        await app.Queue.UnshiftAsync(request);
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        Assert.Equal(["/1", "/2"], Targets(server));
    }

    [Fact]
    public async Task An_entry_that_is_taken_and_put_back_waits_as_before()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create(LaneByPath);
        var first = await PushAsync(app, server, "/1");
        await PushAsync(app, server, "/2", first);

        using (var taken = await app.Queue.PopAsync())
        {
            await app.Queue.PushAsync(taken!.Request);
        }

        Assert.Equal([null, first], (await app.EntriesAsync()).Select(entry => entry.Prerequisite));
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        Assert.Equal(["/1", "/2"], Targets(server));
    }

    [Fact]
    public async Task A_store_that_cannot_tell_what_became_of_the_prerequisite_costs_no_attempt()
    {
        await using var memory = new MemoryQueueStore(Clock);
        var store = new FaultyStore(memory);
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create(LaneByPath, services: services => services.Replace(ServiceDescriptor.Singleton<IQueueStore>(store)));
        var first = await PushAsync(app, server, "/1");
        var second = await PushAsync(app, server, "/2", first);
        store.Before = operation =>
        {
            if (operation == nameof(IQueueStore.GetReceiptAsync))
            {
                throw new QueueStoreException(StoreFault.Locked, "The disk is asleep.");
            }
        };

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        var left = Assert.Single(await app.EntriesAsync());
        Assert.Equal((second, 0), (left.Id, left.Attempts));
        Assert.Contains("The disk is asleep.", left.LastError, StringComparison.Ordinal);
        Assert.True(left.DueAt > Clock.GetUtcNow());

        store.Before = static _ => { };
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        Assert.Equal(["/1", "/2"], Targets(server));
    }

    private static void LaneByPath(BackgroundSyncOptions sync) => sync.LaneBy(request => request.RequestUri!.AbsolutePath);

    private static void Rewriting(BackgroundSyncOptions sync)
    {
        LaneByPath(sync);
        sync.OnReplaying = (context, _) =>
        {
            if (context.Prerequisite is { Response: { } response })
            {
                var id = JsonDocument.Parse(response.Body).RootElement.GetProperty("id").GetInt64();
                var address = context.Request.RequestUri!.AbsoluteUri;
                context.Request.RequestUri = new(
                    address.Replace("tmp-17", id.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal));
            }

            return Task.CompletedTask;
        };
    }

    private static HttpRequestMessage Post(RawServer server, string path, long? prerequisite = null, DateTimeOffset? deadline = null)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, new Uri(server.Uri, path)) { Content = new StringContent("body") };
        if (prerequisite is { } id)
        {
            request.SetBackgroundSyncPrerequisite(id);
        }

        request.SetBackgroundSyncDeadline(deadline ?? DateTimeOffset.MaxValue);
        return request;
    }

    private static async Task<long> PushAsync(
        TestApplication app, RawServer server, string path, long? prerequisite = null, DateTimeOffset? deadline = null)
    {
        using var request = Post(server, path, prerequisite, deadline);
        return await app.Queue.PushAsync(request);
    }

    private static IEnumerable<string> Targets(RawServer server) => server.Requests.Select(request => request.Target);
}
