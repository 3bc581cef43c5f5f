using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Text;
using BgSync.Http.Storage;
using BgSync.Http.Storage.Memory;
using BgSync.Http.Tests.Replay;
using Microsoft.Extensions.DependencyInjection;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Queue;

/// <summary>A request and a queued one of the same key, made one as <c>CoalesceBy</c> says.</summary>
public sealed class CoalescingTests : ReplayFixture
{
    private const string Base = "https://api.example.com";

    private FaultyStore? _store;

    [Fact]
    public async Task By_default_every_request_is_an_entry_of_its_own()
    {
        await using var app = Create();

        await app.Queue.PushAsync(Put("/a", "1"));
        await app.Queue.PushAsync(Put("/a", "2"));

        Assert.Equal(["1", "2"], await BodiesAsync(app));
        Assert.All(await app.EntriesAsync(), entry => Assert.Null(entry.CoalesceKey));
    }

    [Theory]
    [InlineData(Coalescing.Append, "old", "between", "new")]
    [InlineData(Coalescing.KeepFirst, "old", "between")]
    [InlineData(Coalescing.ReplaceQueued, "new", "between")]
    [InlineData(Coalescing.CancelOut, "between")]
    public async Task Each_answer_does_what_it_says_to_the_key_alone(Coalescing answer, params string[] left)
    {
        foreach (var isAsked in (bool[])[false, true])
        {
            await using var app = Create(sync => Coalesce(sync, answer, isAsked));
            var old = await app.Queue.PushAsync(Put("/a", "old"));
            await app.Queue.PushAsync(Put("/b", "between"));

            var id = await app.Queue.PushAsync(Put("/a", "new"));

            Assert.Equal(left, await BodiesAsync(app));
            Assert.Equal(answer == Coalescing.Append, id != old);
            Assert.Equal(left.Length, (await app.Queue.CountAsync()).Pending);
            Assert.Equal(left.Sum(static body => body.Length), (await app.Queue.CountAsync()).Bytes);
        }
    }

    [Fact]
    public async Task A_request_without_a_key_stays_on_its_own()
    {
        await using var app = Create(static sync => sync.CoalesceBy(static _ => null));

        await app.Queue.PushAsync(Put("/a", "1"));
        await app.Queue.PushAsync(Put("/a", "2"));

        Assert.Equal(["1", "2"], await BodiesAsync(app));
    }

    [Fact]
    public async Task What_takes_the_place_of_an_entry_is_all_its_own_but_for_the_id()
    {
        await using var app = Create(sync =>
        {
            ByPath(sync);
            sync.LaneBy(static request => request.Method.Method);
        });
        var old = Put("/a", "old");
        old.SetBackgroundSyncMetadata(new Dictionary<string, string> { ["title"] = "old" });
        old.Headers.Add("X-Old", "1");
        var id = await app.Queue.PushAsync(old, Clock.GetUtcNow() - TimeSpan.FromDays(6));
        var newer = new HttpRequestMessage(HttpMethod.Post, Base + "/a?x=1")
        {
            Content = new StringContent("{}", Encoding.UTF8, "application/json"),
        };
        newer.SetBackgroundSyncRetention(TimeSpan.FromDays(1));

        Assert.Equal(id, await app.Queue.PushAsync(newer));

        var entry = Assert.Single(await app.EntriesAsync());
        Assert.Equal(
            (id, "POST", Clock.GetUtcNow(), Clock.GetUtcNow() + TimeSpan.FromDays(1)),
            (entry.Id, entry.Lane, entry.Timestamp, entry.ExpiresAt));
        Assert.Equal((HttpMethod.Post, Base + "/a?x=1"), (entry.Request.Method, entry.Request.Uri.AbsoluteUri));
        Assert.Equal("Idempotency-Key", Assert.Single(entry.Request.Headers).Key);
        Assert.Equal(newer.Headers.GetValues("Idempotency-Key"), entry.Request.Headers.Select(static header => header.Value));
        Assert.Equal("application/json; charset=utf-8", Assert.Single(entry.Request.ContentHeaders!).Value);
        Assert.Empty(entry.Metadata);
        Assert.True(newer.TryGetBackgroundSyncEntryId(out var noted));
        Assert.Equal(id, noted);
        Assert.Single(app.Logs.Lines, static line => line.EventId == 2040);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Of_live_requests_that_fail_only_the_newest_arrives(bool isAsync)
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create(ByPath);
        await server.StopAsync();

        var first = await QueueAsync(app, server, "1", isAsync);
        var second = await QueueAsync(app, server, "2", isAsync);
        server.Start();
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal((Coalescing.Append, Coalescing.ReplaceQueued), (first.Coalescing, second.Coalescing));
        Assert.Equal(first.EntryId, second.EntryId);
        Assert.Contains("in the place of an older one: entry 1 of queue 'test'", second.Message, StringComparison.Ordinal);
        Assert.Equal("2", Assert.Single(server.Requests).Text);
    }

    [Fact]
    public async Task The_caller_of_what_is_dropped_is_told_which_entry_stands_for_it()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create(static sync => sync.CoalesceBy(Path, Coalescing.KeepFirst));
        await server.StopAsync();
        var first = await QueueAsync(app, server, "1");

        var second = await QueueAsync(app, server, "2");

        Assert.Equal((first.EntryId, Coalescing.KeepFirst), (second.EntryId, second.Coalescing));
        Assert.Contains("was dropped, because entry 1 of queue 'test' stands for it", second.Message, StringComparison.Ordinal);
        Assert.Equal(["1"], await BodiesAsync(app));
        Assert.Single(app.Logs.Lines, static line => line.EventId == 2041);
    }

    [Fact]
    public async Task The_caller_of_what_cancels_out_is_told_that_it_need_not_be_sent()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create(static sync => sync.CoalesceBy(Path, Coalescing.CancelOut));
        await server.StopAsync();
        var first = await QueueAsync(app, server, "create");

        var second = await Assert.ThrowsAsync<RequestQueuedException>(() => app.Client.DeleteAsync(server.Uri));

        Assert.Equal((first.EntryId, Coalescing.CancelOut), (second.EntryId, second.Coalescing));
        Assert.Contains("need not be: it and entry 1 of queue 'test' cancelled out", second.Message, StringComparison.Ordinal);
        Assert.Equal(default, await app.Queue.CountAsync());
        Assert.Single(app.Logs.Lines, static line => line.EventId == 2042);
    }

    [Theory]
    [InlineData(Coalescing.Append, null)]
    [InlineData(Coalescing.KeepFirst, "KeepFirst")]
    [InlineData(Coalescing.ReplaceQueued, "ReplaceQueued")]
    [InlineData(Coalescing.CancelOut, "CancelOut")]
    public async Task A_202_says_what_was_made_of_the_two(Coalescing answer, string? said)
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create(sync =>
        {
            sync.CoalesceBy(Path, answer);
            sync.WhenQueued = WhenQueued.ReturnAccepted;
        });
        await server.StopAsync();
        using var first = await app.Client.PutAsync(server.Uri, new StringContent("1"));

        using var second = await app.Client.PutAsync(server.Uri, new StringContent("2"));

        Assert.False(first.Headers.Contains(BackgroundSyncHeaders.Coalescing));
        Assert.Equal(HttpStatusCode.Accepted, second.StatusCode);
        Assert.Equal(said, second.Headers.TryGetValues(BackgroundSyncHeaders.Coalescing, out var values) ? Assert.Single(values) : null);
        Assert.Equal(said is null ? "2" : "1", Assert.Single(second.Headers.GetValues(BackgroundSyncHeaders.EntryId)));
        Assert.True(second.RequestMessage!.TryGetBackgroundSyncEntryId(out _));
    }

    [Theory]
    [InlineData(Coalescing.KeepFirst)]
    [InlineData(Coalescing.ReplaceQueued)]
    [InlineData(Coalescing.CancelOut)]
    public async Task What_is_in_flight_is_left_alone_and_the_request_goes_behind_it(Coalescing answer)
    {
        foreach (var isAsked in (bool[])[false, true])
        {
            var answered = new TaskCompletionSource();
            await using var server = new RawServer(async (connection, cancellationToken) =>
            {
                await connection.ReadRequestAsync(cancellationToken);
                await answered.Task.WaitAsync(cancellationToken);
                await connection.RespondAsync(201, "", [], cancellationToken);
            });
            await using var app = await StartAsync(sync => Coalesce(sync, answer, isAsked));
            await app.Queue.PushAsync(Put(server.Uri, "1"));
            await Eventually.TrueAsync(() => server.Requests.Count == 1, "it is being sent");

            await app.Queue.PushAsync(Put(server.Uri, "2"));

            answered.SetResult();
            await EmptyAsync(app);
            Assert.Equal(["1", "2"], server.Requests.Select(static request => request.Text));
        }
    }

    [Theory]
    [InlineData(Coalescing.KeepFirst, false, "newer")]
    [InlineData(Coalescing.ReplaceQueued, false, "newer")]
    [InlineData(Coalescing.CancelOut, false, "newer")]
    [InlineData(Coalescing.ReplaceQueued, true, "newer", "older")]
    [InlineData(Coalescing.CancelOut, true, "newer", "older")]
    public async Task A_request_that_fails_late_costs_no_newer_one_its_place(Coalescing answer, bool isAsked, params string[] left)
    {
        var failing = new TaskCompletionSource();
        await using var server = new RawServer(async (connection, cancellationToken) =>
        {
            if ((await connection.ReadRequestAsync(cancellationToken)).Text == "older")
            {
                await failing.Task.WaitAsync(cancellationToken);
            }

            connection.Close();
        });
        await using var app = Create(sync => Coalesce(sync, answer, isAsked));
        var older = QueueAsync(app, server, "older");
        await Eventually.TrueAsync(() => server.Requests.Count == 1, "the older one is being sent");
        Clock.Advance(TimeSpan.FromSeconds(1));
        var newer = await QueueAsync(app, server, "newer");

        failing.SetResult();

        Assert.Equal(isAsked ? Coalescing.Append : Coalescing.KeepFirst, (await older).Coalescing);
        Assert.Equal(!isAsked, (await older).EntryId == newer.EntryId);
        Assert.Equal(left, await BodiesAsync(app));
    }

    [Fact]
    public async Task A_clock_that_was_put_back_makes_no_request_late()
    {
        await using var server = new RawServer(Scripts.CloseAfterRequest());
        await using var app = Create(ByPath);
        await app.Queue.PushAsync(Put(server.Uri, "before"), Clock.GetUtcNow() + TimeSpan.FromHours(1));

        var after = await QueueAsync(app, server, "after");

        Assert.Equal(Coalescing.ReplaceQueued, after.Coalescing);
        Assert.Equal(["after"], await BodiesAsync(app));
    }

    [Fact]
    public async Task What_is_pushed_is_the_newest_whatever_its_timestamp_says()
    {
        await using var app = Create(ByPath);
        await app.Queue.PushAsync(Put("/a", "1"));

        await app.Queue.PushAsync(Put("/a", "2"), Clock.GetUtcNow() - TimeSpan.FromHours(1));

        Assert.Equal(["2"], await BodiesAsync(app));
    }

    [Fact]
    public async Task What_is_past_its_retention_is_left_to_become_a_dead_letter()
    {
        await using var app = Create(static sync => sync.CoalesceBy(Path, Coalescing.KeepFirst));
        await app.Queue.PushAsync(Put("/a", "1"), Clock.GetUtcNow() - TimeSpan.FromDays(8));

        await app.Queue.PushAsync(Put("/a", "2"));

        Assert.Equal(["1", "2"], await BodiesAsync(app));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_may_have_arrived_is_followed_by_what_undoes_it(bool isAsked)
    {
        await using var server = new RawServer(Scripts.Respond(503));
        await using var app = Create(sync => Coalesce(sync, Coalescing.CancelOut, isAsked));
        await app.Queue.PushAsync(Put(server.Uri, "create"));
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        await app.Queue.PushAsync(new HttpRequestMessage(HttpMethod.Delete, server.Uri));

        Assert.Equal([HttpMethod.Put, HttpMethod.Delete], (await app.EntriesAsync()).Select(static entry => entry.Request.Method));
    }

    [Fact]
    public async Task What_may_have_arrived_is_not_forgotten_when_it_is_replaced()
    {
        await using var server = new RawServer(Scripts.Respond(503));
        var answer = Coalescing.ReplaceQueued;
        await using var app = Create(sync => sync.CoalesceBy(Path, (_, _) => Task.FromResult(answer)));
        await app.Queue.PushAsync(Put(server.Uri, "create"));
        for (var i = 0; i < 3; i++)
        {
            await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
            Clock.Advance(TimeSpan.FromMinutes(1));
        }

        await app.Queue.PushAsync(Put(server.Uri, "create otherwise"));
        Assert.Equal((1, null), Assert.Single(await app.EntriesAsync()) is var entry ? (entry.Attempts, entry.LastError) : default);

        answer = Coalescing.CancelOut;
        await app.Queue.PushAsync(new HttpRequestMessage(HttpMethod.Delete, server.Uri));

        Assert.Equal([HttpMethod.Put, HttpMethod.Delete], (await app.EntriesAsync()).Select(static entry => entry.Request.Method));
    }

    [Fact]
    public async Task What_takes_a_place_waits_as_it_asks_to()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create(ByPath);
        await app.Queue.PushAsync(Put(server.Uri, "1"));
        var newer = Put(server.Uri, "2");
        newer.SetBackgroundSyncNotBefore(Clock.GetUtcNow() + TimeSpan.FromHours(1));

        await app.Queue.PushAsync(newer);

        Assert.Equal(0, (await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan)).Delivered);
        Clock.Advance(TimeSpan.FromHours(1));
        Assert.Equal(1, (await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan)).Delivered);
    }

    [Fact]
    public async Task Unshift_makes_nothing_one_but_what_it_puts_there_can_be_found()
    {
        await using var app = Create(ByPath);
        await app.Queue.UnshiftAsync(Put("/a", "1"));

        await app.Queue.UnshiftAsync(Put("/a", "0"));
        await app.Queue.PushAsync(Put("/a", "2"));

        Assert.Equal(["0", "2"], await BodiesAsync(app));
    }

    [Fact]
    public async Task A_key_outlives_the_process()
    {
        using var directory = new TempDirectory();
        await using (var before = Create(ByPath, directory))
        {
            await before.Queue.PushAsync(Put("/a", "1"));
        }

        await using var app = Create(ByPath, directory);
        await app.Queue.PushAsync(Put("/a", "2"));

        Assert.Equal(["2"], await BodiesAsync(app));
    }

    [Theory]
    [InlineData(10)]
    [InlineData(1_000_000)]
    public async Task Bodies_that_can_be_read_once_replace_and_are_replaced(int length)
    {
        foreach (var isAsked in (bool[])[false, true])
        {
            await using var app = Create(sync => Coalesce(sync, Coalescing.ReplaceQueued, isAsked));
            byte[] bytes = [];
            for (var i = 0; i < 3; i++)
            {
                bytes = TestBytes.Random(length + i);
                await app.Queue.PushAsync(
                    new HttpRequestMessage(HttpMethod.Put, Base) { Content = new StreamContent(new OneShotStream(bytes)) });
            }

            Assert.Equal(bytes, await app.BodyOfAsync(Assert.Single(await app.EntriesAsync()).Id));
            Assert.Equal(new QueueCounts(1, 0, bytes.Length), await app.Queue.CountAsync());
        }
    }

    [Fact]
    public async Task What_is_dropped_is_not_even_read()
    {
        await using var app = Create(static sync => sync.CoalesceBy(Path, Coalescing.KeepFirst));
        await app.Queue.PushAsync(Put("/a", "1"));
        var content = new PushContent([1]);

        await app.Queue.PushAsync(new HttpRequestMessage(HttpMethod.Put, Base + "/a") { Content = content });

        Assert.Equal(0, content.TimesRead);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Of_many_at_once_one_is_left(bool isAsked)
    {
        await using var app = Create(sync => Coalesce(sync, Coalescing.ReplaceQueued, isAsked));

        var ids = await Task.WhenAll(Enumerable.Range(0, 50).Select(i => Task.Run(async () =>
            await app.Queue.PushAsync(Put("/" + (i % 2), new string('x', i + 1))))));

        Assert.Equal(2, (await app.EntriesAsync()).Count);
        Assert.Equal(2, ids.Distinct().Count());
    }

    [Fact]
    public async Task A_function_merges_both_bodies()
    {
        await using var app = Create(sync => sync.CoalesceBy(Path, static async (both, cancellationToken) =>
        {
            var older = await both.QueuedRequest.Content!.ReadAsStringAsync(cancellationToken);
            var newer = await both.Request.Content!.ReadAsStringAsync(cancellationToken);
            both.Request.Content = new StringContent($"{older}+{newer}", Encoding.UTF8, "text/x-sum");
            both.Request.Headers.Add("X-Merged", both.Queued.Id.ToString(CultureInfo.InvariantCulture));
            both.Request.Method = both.QueuedRequest.Method;
            return Coalescing.ReplaceQueued;
        }));
        var large = new string('b', 100_000);
        await app.Queue.PushAsync(Post("/a", "a"));

        await app.Queue.PushAsync(Put("/a", large));
        await app.Queue.PushAsync(Put("/a", "c"));

        Assert.Equal([$"a+{large}+c"], await BodiesAsync(app));
        var entry = Assert.Single(await app.EntriesAsync());
        Assert.Equal(HttpMethod.Post, entry.Request.Method);
        Assert.Equal("1", Assert.Single(entry.Request.Headers, static header => header.Key == "X-Merged").Value);
        Assert.Single(entry.Request.Headers, static header => header.Key == "Idempotency-Key");
        Assert.Equal("text/x-sum; charset=utf-8", Assert.Single(entry.Request.ContentHeaders!).Value);
    }

    [Fact]
    public async Task A_create_and_a_delete_leave_nothing_and_an_update_becomes_part_of_the_create()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create(static sync => sync.CoalesceBy(Path, static (both, _) =>
        {
            if (both.QueuedRequest.Method == HttpMethod.Post && both.Request.Method == HttpMethod.Put)
            {
                both.Request.Method = HttpMethod.Post;
            }

            return Task.FromResult(both.Request.Method == HttpMethod.Delete ? Coalescing.CancelOut : Coalescing.ReplaceQueued);
        }));

        foreach (var path in (string[])["/kept", "/gone"])
        {
            await app.Queue.PushAsync(Post(new Uri(server.Uri, path), "create"));
            await app.Queue.PushAsync(Put(new Uri(server.Uri, path), "update"));
        }

        await app.Queue.PushAsync(new HttpRequestMessage(HttpMethod.Delete, new Uri(server.Uri, "/gone")));
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        var request = Assert.Single(server.Requests);
        Assert.Equal(("POST", "/kept", "update"), (request.Method, request.Target, request.Text));
    }

    [Theory]
    [InlineData("throws")]
    [InlineData("answers nonsense")]
    [InlineData("changes the address to none")]
    [InlineData("gives content that throws")]
    [InlineData("gives content that is too large")]
    public async Task When_a_function_fails_nothing_is_lost_and_the_log_says_why(string how)
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create(sync =>
        {
            sync.Limits.MaxBodyLength = 1000;
            sync.CoalesceBy(Path, (both, _) => how switch
            {
                "throws" => throw new InvalidTimeZoneException("yours"),
                "answers nonsense" => Task.FromResult((Coalescing)17),
                "changes the address to none" => Replaced(() => both.Request.RequestUri = new Uri("/a", UriKind.Relative)),
                "gives content that throws" => Replaced(
                    () => both.Request.Content = new PushContent((_, _) => throw new InvalidTimeZoneException("yours"))),
                _ => Replaced(() => both.Request.Content = new ByteArrayContent(new byte[1001])),
            });
        });
        await server.StopAsync();
        await QueueAsync(app, server, "1");

        var second = await Assert.ThrowsAsync<RequestQueuedException>(
            () => app.Client.PutAsync(server.Uri, new StreamContent(new OneShotStream("2"u8.ToArray()))));

        Assert.Equal((2, Coalescing.Append), (second.EntryId, second.Coalescing));
        Assert.Equal(["1", "2"], await BodiesAsync(app));
        var warning = Assert.Single(app.Logs.Lines, static line => line.EventId == 2061);
        Assert.Contains("behind entry 1 of its key", warning.Message, StringComparison.Ordinal);
        Assert.NotNull(warning.Exception);

        static Task<Coalescing> Replaced(Action change)
        {
            change();
            return Task.FromResult(Coalescing.ReplaceQueued);
        }
    }

    [Fact]
    public async Task A_function_that_never_returns_holds_nobody_up_for_ever()
    {
        var never = new TaskCompletionSource<Coalescing>();
        await using var app = Create(sync => sync.CoalesceBy(Path, (_, _) => never.Task));
        await app.Queue.PushAsync(Put("/a", "1"));

        var pushing = Task.WhenAll(Enumerable.Range(2, 3).Select(i => app.Queue.PushAsync(Put("/a", $"{i}")).AsTask()));
        await app.Queue.PushAsync(Put("/b", "other"));
        Assert.False(pushing.IsCompleted);
        await AdvanceUntilAsync(() => pushing.IsCompleted, "they are queued on their own");

        await pushing;
        Assert.Equal(["1", "2", "3", "4", "other"], (await BodiesAsync(app)).Order());
        Assert.Contains(
            app.Logs.Lines,
            static line => line.EventId == 2061 && line.Message.EndsWith("It did not return in 30 seconds.", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_function_is_asked_again_when_the_entry_was_edited_meanwhile()
    {
        TestApplication? application = null;
        var asked = new ConcurrentQueue<string>();
        await using var app = application = Create(sync => sync.CoalesceBy(Path, async (both, cancellationToken) =>
        {
            asked.Enqueue(await both.QueuedRequest.Content!.ReadAsStringAsync(cancellationToken));
            if (asked.Count == 1)
            {
                await application!.Queue.EditAsync(
                    both.Queued.Id, static edit => edit.Request.Content = new StringContent("edited"), cancellationToken);
            }

            return Coalescing.CancelOut;
        }));
        await app.Queue.PushAsync(Put("/a", "1"));

        await app.Queue.PushAsync(Put("/a", "2"));

        Assert.Equal(["1", "edited"], asked);
        Assert.Equal(default, await app.Queue.CountAsync());
    }

    [Theory]
    [InlineData(Coalescing.ReplaceQueued)]
    [InlineData(Coalescing.CancelOut)]
    public async Task What_is_sent_while_it_is_asked_about_is_followed_by_the_request(Coalescing answer)
    {
        await using var server = new RawServer(Scripts.Respond(503));
        TestApplication? application = null;
        await using var app = application = Create(sync => sync.CoalesceBy(Path, async (both, _) =>
        {
            if (both.Queued.Attempts == 0)
            {
                await application!.Queue.ReplayAsync(Timeout.InfiniteTimeSpan, CancellationToken.None);
            }

            return answer;
        }));
        await app.Queue.PushAsync(Put(server.Uri, "1"));

        await app.Queue.PushAsync(Put(server.Uri, "2"));

        Assert.Equal(answer == Coalescing.CancelOut ? ["1", "2"] : ["2"], await BodiesAsync(app));
        Assert.Equal(1, (await app.EntriesAsync())[0].Attempts);
    }

    [Fact]
    public async Task A_body_that_can_be_read_once_survives_an_entry_that_changes_meanwhile()
    {
        await using var app = CreateOnFaultyStore(ByPath);
        var id = await app.Queue.PushAsync(Put("/a", "1"));
        var edits = 0;
        _store!.Before = operation =>
        {
            if (operation == nameof(IQueueStore.ReplaceAsync) && edits++ == 0)
            {
                app.Queue.EditAsync(id, static edit => edit.Lane = "edited").AsTask().GetAwaiter().GetResult();
            }
        };
        var bytes = TestBytes.Random(300_000);

        Assert.Equal(id, await app.Queue.PushAsync(
            new HttpRequestMessage(HttpMethod.Put, Base + "/a") { Content = new StreamContent(new OneShotStream(bytes)) }));

        Assert.Equal(bytes, await app.BodyOfAsync(Assert.Single(await app.EntriesAsync()).Id));
    }

    [Theory]
    [InlineData(Coalescing.ReplaceQueued, false, nameof(IQueueStore.FindLastAsync))]
    [InlineData(Coalescing.ReplaceQueued, true, nameof(IQueueStore.FindLastAsync))]
    [InlineData(Coalescing.ReplaceQueued, false, nameof(IQueueStore.ReplaceAsync))]
    [InlineData(Coalescing.ReplaceQueued, true, nameof(IQueueStore.ReplaceAsync))]
    [InlineData(Coalescing.CancelOut, false, nameof(IQueueStore.RemoveAsync))]
    [InlineData(Coalescing.CancelOut, true, nameof(IQueueStore.RemoveAsync))]
    public async Task A_store_that_fails_leaves_the_entry_and_the_original_failure(Coalescing answer, bool isAsked, string operation)
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = CreateOnFaultyStore(sync => Coalesce(sync, answer, isAsked));
        await server.StopAsync();
        await QueueAsync(app, server, "1");
        _store!.Before = done => _ = done == operation ? throw new QueueStoreException(StoreFault.Full, "The disk is full.") : 0;

        var failure = await Assert.ThrowsAsync<HttpRequestException>(() => app.Client.PutAsync(server.Uri, new StringContent("2")));

        Assert.Equal("The disk is full.", failure.GetNotQueuedReason());
        _store.Before = static _ => { };
        Assert.Equal(["1"], await BodiesAsync(app));
        await QueueAsync(app, server, "3");
    }

    [Fact]
    public async Task A_key_that_throws_goes_to_the_caller_of_PushAsync_and_is_not_asked_for_live()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create(static sync => sync.CoalesceBy(static _ => throw new InvalidTimeZoneException()));

        (await app.Client.PutAsync(server.Uri, new StringContent("1"))).Dispose();
        await Assert.ThrowsAsync<InvalidTimeZoneException>(async () => await app.Queue.PushAsync(Put("/a", "1")));

        Assert.Single(server.Requests);
        Assert.Equal(default, await app.Queue.CountAsync());
    }

    [Fact]
    public async Task A_caller_who_gives_up_while_the_function_runs_leaves_the_queue_as_it_was()
    {
        using var caller = new CancellationTokenSource();
        await using var app = Create(sync => sync.CoalesceBy(Path, async (_, cancellationToken) =>
        {
            await caller.CancelAsync();
            await Task.Delay(Timeout.InfiniteTimeSpan, Clock, cancellationToken);
            return Coalescing.ReplaceQueued;
        }));
        await app.Queue.PushAsync(Put("/a", "1"));

        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            async () => await app.Queue.PushAsync(Put("/a", "2"), cancellationToken: caller.Token));

        Assert.Equal(["1"], await BodiesAsync(app));
        Assert.DoesNotContain(app.Logs.Lines, static line => line.EventId == 2061);
    }

    [Fact]
    public async Task A_body_that_stalls_or_is_too_large_is_told_to_whoever_is_to_be_asked_as_to_all()
    {
        await using var app = Create(static sync =>
        {
            sync.Limits.MaxBodyLength = 5;
            sync.CoalesceBy(Path, static (_, _) => Task.FromResult(Coalescing.ReplaceQueued));
        });

        var tooLarge = await Assert.ThrowsAsync<InvalidOperationException>(async () => await app.Queue.PushAsync(Put("/a", "123456")));
        var pushing = app.Queue.PushAsync(
            new HttpRequestMessage(HttpMethod.Put, Base + "/a") { Content = new StreamContent(new StalledStream([1])) }).AsTask();
        await AdvanceUntilAsync(() => pushing.IsCompleted, "the push gives up");

        Assert.Contains("MaxBodyLength (5 bytes)", tooLarge.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<TimeoutException>(() => pushing);
        Assert.Equal(default, await app.Queue.CountAsync());
    }

    [Fact]
    public async Task Observers_are_told_what_became_of_both()
    {
        var answer = Coalescing.KeepFirst;
        await using var app = Create(sync => sync.CoalesceBy(Path, (_, _) => Task.FromResult(answer)));
        await using var watch = app.Queue.WatchAsync().GetAsyncEnumerator();
        await watch.MoveNextAsync();
        await app.Queue.PushAsync(Put("/a", "1"));
        await app.Queue.PushAsync(Post("/a", "2"));
        answer = Coalescing.ReplaceQueued;
        await app.Queue.PushAsync(Post("/a", "3"));
        answer = Coalescing.CancelOut;
        await app.Queue.PushAsync(new HttpRequestMessage(HttpMethod.Delete, Base + "/a"));

        await watch.MoveNextAsync();
        Assert.Equal(
            [
                (EntryEventKind.Queued, HttpMethod.Put), (EntryEventKind.KeptFirst, HttpMethod.Post),
                (EntryEventKind.Superseded, HttpMethod.Post), (EntryEventKind.CancelledOut, HttpMethod.Post),
            ],
            watch.Current.Events.Select(static entryEvent => (entryEvent.Kind, entryEvent.Request!.Method)));
        Assert.All(watch.Current.Events, static entryEvent => Assert.Equal(1, entryEvent.EntryId));
    }

    [Fact]
    public void What_cannot_be_is_refused_with_what_to_write_instead()
    {
        var options = new BackgroundSyncOptions();

        Assert.Throws<ArgumentNullException>(() => options.CoalesceBy(null!));
        Assert.Throws<ArgumentNullException>(() => options.CoalesceBy(null!, static (_, _) => Task.FromResult(Coalescing.Append)));
        Assert.Throws<ArgumentNullException>(() => options.CoalesceBy(Path, null!));
        var failure = Assert.Throws<ArgumentOutOfRangeException>(() => options.CoalesceBy(Path, (Coalescing)17));
        Assert.Contains("Write one of Append, KeepFirst, ReplaceQueued and CancelOut", failure.Message, StringComparison.Ordinal);
    }

    private static string? Path(HttpRequestMessage request) => request.RequestUri!.AbsolutePath;

    private static void ByPath(BackgroundSyncOptions sync) => sync.CoalesceBy(Path);

    /// <summary>The same answer, given as it is or by a function.</summary>
    private static void Coalesce(BackgroundSyncOptions sync, Coalescing answer, bool isAsked)
    {
        if (isAsked)
        {
            sync.CoalesceBy(Path, (_, _) => Task.FromResult(answer));
        }
        else
        {
            sync.CoalesceBy(Path, answer);
        }
    }

    private TestApplication CreateOnFaultyStore(Action<BackgroundSyncOptions> configure) => Create(
        configure, services: services => services.AddSingleton<IQueueStore>(_store = new FaultyStore(new MemoryQueueStore(Clock))));

    private static HttpRequestMessage Put(string path, string body) => Put(new Uri(Base + path), body);

    private static HttpRequestMessage Put(Uri uri, string body) => new(HttpMethod.Put, uri) { Content = new StringContent(body) };

    private static HttpRequestMessage Post(string path, string body) => Post(new Uri(Base + path), body);

    private static HttpRequestMessage Post(Uri uri, string body) => new(HttpMethod.Post, uri) { Content = new StringContent(body) };

    private static Task<RequestQueuedException> QueueAsync(TestApplication app, RawServer server, string body, bool isAsync = true) =>
        Assert.ThrowsAsync<RequestQueuedException>(() => app.Client.SendAsync(Put(server.Uri, body), isAsync));

    private static async Task<List<string>> BodiesAsync(TestApplication app)
    {
        var bodies = new List<string>();
        foreach (var entry in await app.EntriesAsync())
        {
            bodies.Add(Encoding.UTF8.GetString(await app.BodyOfAsync(entry.Id)));
        }

        return bodies;
    }
}
