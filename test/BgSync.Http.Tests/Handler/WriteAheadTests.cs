using System.Net;
using BgSync.Http.Storage;
using BgSync.Http.Storage.Memory;
using BgSync.Http.Storage.Sqlite;
using BgSync.Http.Tests.Replay;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Handler;

/// <summary>With WriteAhead a request stands in the store from before its first send until it is answered.</summary>
public sealed class WriteAheadTests : ReplayFixture
{
    private const int NotWrittenAhead = 2050;
    private const int NotDropped = 2051;

    private static readonly byte[] _large = TestBytes.Random(1024 * 1024);
    private static readonly Uri _deadUri = new($"http://127.0.0.1:{RawServer.RefusedPort()}/orders");

    private readonly List<string> _operations = [];
    private FaultyStore? _store;

    /// <summary>Every way in which a body is made repeatable, by both ways to send.</summary>
    public static TheoryData<string, Func<byte[], HttpContent>, bool> Kinds
    {
        get
        {
            var kinds = new TheoryData<string, Func<byte[], HttpContent>, bool>();
            foreach (var isAsync in (bool[])[true, false])
            {
                kinds.Add("in memory", bytes => new ByteArrayContent(bytes), isAsync);
                kinds.Add("re-readable", bytes => new StreamContent(new CountingStream(bytes)), isAsync);
                kinds.Add("read once", bytes => new StreamContent(new OneShotStream(bytes)), isAsync);
            }

            return kinds;
        }
    }

    [Theory]
    [MemberData(nameof(Kinds), DisableDiscoveryEnumeration = true)]
    public async Task A_request_is_written_down_before_it_is_sent_and_forgotten_when_it_is_answered(
        string kind, Func<byte[], HttpContent> content, bool isAsync)
    {
        (long Held, bool IsChunked) whileSent = default;
        TestApplication? app = null;
        await using var server = new RawServer(Scripts.Respond(200));
        await using var _ = app = Create(WriteAhead, inner: builder => builder.AddHttpMessageHandler(
            () => new ObservingHandler(_ => whileSent = (Count(app!, "held"), Count(app!, "body_chunk") > 0))));

        using var response = await app.Client.SendAsync(Post(server.Uri, content(_large)), isAsync);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal((1, true), whileSent);
        Assert.Equal(_large, Assert.Single(server.Requests).Body.ToArray());
        Assert.Equal((0, 0, 0), (Count(app, "held"), Count(app, "body_chunk"), Count(app, "entry")));
        Assert.NotEmpty(kind);
    }

    [Theory]
    [MemberData(nameof(Kinds), DisableDiscoveryEnumeration = true)]
    public async Task A_request_that_fails_is_queued_with_its_body(string kind, Func<byte[], HttpContent> content, bool isAsync)
    {
        await using var server = new RawServer(Scripts.CloseAfterRequest());
        await using var app = Create(WriteAhead);

        var queued = await Assert.ThrowsAsync<RequestQueuedException>(
            () => app.Client.SendAsync(Post(server.Uri, content(_large)), isAsync));

        var entry = Assert.Single(await app.EntriesAsync());
        Assert.Equal((queued.EntryId, 1), (entry.Id, entry.Attempts));
        Assert.Equal(Clock.GetUtcNow().AddSeconds(1), entry.DueAt);
        Assert.Contains("ResponseEnded", entry.LastError, StringComparison.Ordinal);
        Assert.Equal(_large, await app.BodyOfAsync(entry.Id));
        Assert.Equal(0, Count(app, "held"));
        Assert.Single(app.Logs.Lines, line => line.EventId == 2000);
        Assert.NotEmpty(kind);
    }

    [Fact]
    public async Task A_request_that_fails_is_queued_where_it_was_its_turn()
    {
        var failing = new TaskCompletionSource<HttpResponseMessage>();
        var sent = 0;
        await using var app = new TestApplication(WriteAhead, clock: Clock, primary: () => new StubHandler(
            _ => Interlocked.Increment(ref sent) == 1 ? failing.Task : Task.FromException<HttpResponseMessage>(Unreachable())));
        var slow = app.Client.SendAsync(Post(_deadUri));
        await Eventually.TrueAsync(() => Volatile.Read(ref sent) == 1, "the slow one is sent");
        var fast = await Assert.ThrowsAsync<RequestQueuedException>(() => app.Client.SendAsync(Post(_deadUri)));

        failing.SetException(Unreachable());
        var first = await Assert.ThrowsAsync<RequestQueuedException>(() => slow);

        Assert.Equal([first.EntryId, fast.EntryId], (await app.EntriesAsync()).Select(entry => entry.Id));
    }

    [Fact]
    public async Task A_request_that_takes_the_place_of_a_queued_one_is_held_no_more()
    {
        await using var app = Create(static sync =>
        {
            WriteAhead(sync);
            sync.CoalesceBy(request => request.RequestUri!.AbsolutePath);
        });
        await QueueAsync(app, _deadUri, "older");

        var queued = await Assert.ThrowsAsync<RequestQueuedException>(() => app.Client.PostAsync(_deadUri, new StringContent("newer")));

        Assert.Equal((1, Coalescing.ReplaceQueued), (queued.EntryId, queued.Coalescing));
        Assert.Equal("newer"u8.ToArray(), await app.BodyOfAsync(1));
        Assert.Equal((0, 1), (Count(app, "held"), Count(app, "entry")));
    }

    [Fact]
    public async Task A_request_that_the_queue_has_no_room_for_is_refused_and_forgotten()
    {
        await using var app = Create(static sync =>
        {
            WriteAhead(sync);
            sync.Limits.MaxEntries = 1;
        });
        await QueueAsync(app, _deadUri, "first");

        var failure = await Assert.ThrowsAsync<HttpRequestException>(() => app.Client.PostAsync(_deadUri, new StringContent("second")));

        Assert.Contains("MaxEntries is 1", failure.GetNotQueuedReason(), StringComparison.Ordinal);
        Assert.Equal((0, 1), (Count(app, "held"), Count(app, "entry")));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_request_that_its_caller_cancels_is_forgotten(bool isAsync)
    {
        await using var server = new RawServer(Scripts.NeverAnswer());
        await using var app = Create(WriteAhead);
        using var cancel = new CancellationTokenSource();
        var sending = app.Client.SendAsync(Post(server.Uri), isAsync, cancel.Token);
        await Eventually.TrueAsync(() => server.Requests.Count == 1, "the request is read");
        Assert.Equal(1, Count(app, "held"));

        await cancel.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => sending);
        Assert.Equal((0, 0), (Count(app, "held"), Count(app, "entry")));
    }

    [Fact]
    public async Task A_request_that_its_caller_cancels_before_it_is_sent_is_neither_held_nor_sent()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create(WriteAhead);
        var body = new StalledStream([1]);
        using var cancel = new CancellationTokenSource();
        var sending = app.Client.SendAsync(Post(server.Uri, new StreamContent(body)), cancel.Token);
        await Eventually.TrueAsync(() => body.IsStalled, "the body is read");

        await cancel.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => sending);
        await app.Queue.CountAsync();
        Assert.Equal((0, 0), (Count(app, "held"), server.ConnectionCount));
    }

    [Fact]
    public async Task A_failure_that_is_not_queued_is_forgotten()
    {
        await using var server = new RawServer(Scripts.CloseAfterRequest());
        await using var app = Create(sync =>
        {
            WriteAhead(sync);
            sync.IdempotencyKeyHeader = null;
        });

        var failure = await Assert.ThrowsAsync<HttpRequestException>(() => app.Client.SendAsync(Post(server.Uri)));

        Assert.Contains("may have processed it", failure.GetNotQueuedReason(), StringComparison.Ordinal);
        Assert.Equal((0, 0), (Count(app, "held"), Count(app, "entry")));
    }

    [Theory]
    [InlineData(503, 1)]
    [InlineData(500, 0)]
    public async Task A_response_is_queued_if_its_status_is_to_be_and_forgotten_otherwise(int status, int queued)
    {
        await using var server = new RawServer(Scripts.Respond(status, ("Retry-After", "60")));
        await using var app = Create(sync =>
        {
            WriteAhead(sync);
            sync.QueuedStatuses.Add(HttpStatusCode.ServiceUnavailable);
            sync.WhenQueued = WhenQueued.ReturnAccepted;
        });

        using var response = await app.Client.SendAsync(Post(server.Uri));

        Assert.Equal(queued == 1 ? HttpStatusCode.Accepted : (HttpStatusCode)status, response.StatusCode);
        var entries = await app.EntriesAsync();
        Assert.Equal(queued, entries.Count);
        Assert.All(entries, entry => Assert.Equal((1, Clock.GetUtcNow().AddMinutes(1)), (entry.Attempts, entry.DueAt)));
        Assert.Equal(0, Count(app, "held"));
    }

    [Theory]
    [InlineData(WhenQueued.Throw)]
    [InlineData(WhenQueued.ReturnAccepted)]
    public async Task What_an_inner_queue_has_taken_is_forgotten(WhenQueued whenQueued)
    {
        await using var app = new TestApplication(
            WriteAhead,
            inner: builder => builder.AddBackgroundSync("inner", sync =>
            {
                WriteAhead(sync);
                sync.WhenQueued = whenQueued;
            }));

        await Record.ExceptionAsync(() => app.Client.SendAsync(Post(_deadUri)));

        Assert.Empty(await app.EntriesAsync());
        Assert.Equal((0, 1), (Count(app, "held"), Count(app, "entry")));
    }

    [Fact]
    public async Task A_request_that_is_held_back_is_queued_unsent()
    {
        await using var app = Create(sync =>
        {
            WriteAhead(sync);
            sync.Overtaking = Overtaking.Never;
        });

        var first = await Assert.ThrowsAsync<RequestQueuedException>(() => app.Client.SendAsync(Post(_deadUri)));
        var second = await Assert.ThrowsAsync<RequestQueuedException>(() => app.Client.SendAsync(Post(_deadUri)));

        Assert.Equal([first.EntryId, second.EntryId], (await app.EntriesAsync()).Select(entry => entry.Id));
        Assert.Equal(0, Count(app, "held"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_request_that_is_not_watched_is_not_written_down(bool matches)
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = CreateOnFaultyStore(sync => sync.Routes.Add(HttpMethod.Post, matches ? "/" : "/elsewhere"));
        var request = Post(server.Uri);
        if (matches)
        {
            request.DoNotQueue();
        }

        using var response = await app.Client.SendAsync(request);

        Assert.Empty(_operations);
    }

    [Fact]
    public async Task By_default_nothing_is_written_down_that_is_answered()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = CreateOnFaultyStore(sync => sync.WriteAhead = false);

        using var response = await app.Client.SendAsync(Post(server.Uri));

        Assert.Empty(_operations);
    }

    [Theory]
    [MemberData(nameof(Kinds), DisableDiscoveryEnumeration = true)]
    public async Task A_request_that_cannot_be_written_down_is_sent_all_the_same(
        string kind, Func<byte[], HttpContent> content, bool isAsync)
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = CreateOnFaultyStore();
        var update = FirstEventAsync(app);
        Fail(nameof(IQueueStore.BeginBodyAsync), nameof(IQueueStore.BeginWriteAheadAsync));

        using var response = await app.Client.SendAsync(Post(server.Uri, content(_large)), isAsync);

        Assert.Equal(_large, Assert.Single(server.Requests).Body.ToArray());
        var warning = Assert.Single(app.Logs.Lines, line => line.EventId == NotWrittenAhead);
        Assert.Equal(LogLevel.Warning, warning.Level);
        Assert.EndsWith(": The disk is asleep.", warning.Message, StringComparison.Ordinal);
        var told = await update;
        Assert.Equal((EntryEventKind.NotWrittenAhead, "The disk is asleep."), (told.Kind, told.Reason));
        Assert.Equal(server.Uri, told.Request!.Uri);
        Assert.DoesNotContain(nameof(IQueueStore.DiscardWriteAheadAsync), _operations);
        Assert.NotEmpty(kind);
    }

    [Fact]
    public async Task A_request_that_could_not_be_written_down_is_queued_when_it_fails()
    {
        await using var app = CreateOnFaultyStore();
        Fail(nameof(IQueueStore.BeginWriteAheadAsync));

        var queued = await Assert.ThrowsAsync<RequestQueuedException>(
            () => app.Client.SendAsync(Post(_deadUri, new StreamContent(new OneShotStream(_large)))));

        Assert.Equal(_large, await app.BodyOfAsync(queued.EntryId));
    }

    [Fact]
    public async Task A_body_over_MaxBodyLength_is_sent_whole_without_being_written_down()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create(sync =>
        {
            WriteAhead(sync);
            sync.Limits.MaxBodyLength = _large.Length - 1;
        });

        using var response = await app.Client.SendAsync(Post(server.Uri, new StreamContent(new OneShotStream(_large))));

        Assert.Equal(_large, Assert.Single(server.Requests).Body.ToArray());
        Assert.Contains(
            "MaxBodyLength", Assert.Single(app.Logs.Lines, line => line.EventId == NotWrittenAhead).Message, StringComparison.Ordinal);
        Assert.Equal((0, 0), (Count(app, "held"), Count(app, "body_chunk")));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_body_that_breaks_off_fails_as_it_would_have_without_WriteAhead(bool isAsync)
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create(WriteAhead);

        var failure = await Assert.ThrowsAsync<HttpRequestException>(() => app.Client.SendAsync(
            Post(server.Uri, new StreamContent(new OneShotStream(_large, failAt: 100_000))), isAsync));

        Assert.Equal(OneShotStream.FailureMessage, failure.GetBaseException().Message);
        await app.Queue.CountAsync();
        Assert.NotNull(failure.GetNotQueuedReason());
        Assert.Equal((0, 0), (Count(app, "held"), Count(app, "entry")));
    }

    [Fact]
    public async Task A_body_that_makes_no_progress_is_not_waited_for_longer_than_EnqueueTimeout()
    {
        await using var server = new RawServer(Scripts.NeverAnswer());
        await using var app = Create(sync =>
        {
            WriteAhead(sync);
            sync.EnqueueTimeout = TimeSpan.FromSeconds(5);
        });
        var body = new StalledStream([1]);
        var notWrittenAhead = app.Queue.UntilAsync(EntryEventKind.NotWrittenAhead);
        var sending = app.Client.SendAsync(Post(server.Uri, new StreamContent(body)));
        await Eventually.TrueAsync(() => body.IsStalled, "the body is read");

        await AdvanceUntilAsync(() => notWrittenAhead.IsCompleted, "it is sent without having been written down");
        await AdvanceUntilAsync(() => sending.IsCompleted, "the attempt times out");

        var failure = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => sending);
        Assert.Contains("EnqueueTimeout", failure.GetNotQueuedReason(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_inner_handler_may_send_a_body_that_is_read_once_again()
    {
        await using var server = new RawServer(RawServer.Sequence(Scripts.CloseAfterRequest(), Scripts.Respond(200)));
        await using var app = Create(WriteAhead, inner: builder => builder.AddHttpMessageHandler(() => new SendingAgain()));

        using var response = await app.Client.SendAsync(Post(server.Uri, new StreamContent(new OneShotStream(_large))));

        Assert.Equal(2, server.Requests.Count);
        Assert.All(server.Requests, read => Assert.Equal(_large, read.Body.ToArray()));
        Assert.Equal(0, Count(app, "held"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_store_that_cannot_forget_an_answered_request_is_asked_until_it_can(bool isAsync)
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = CreateOnFaultyStore();
        Fail(nameof(IQueueStore.DiscardWriteAheadAsync));

        using var response = await app.Client.SendAsync(Post(server.Uri), isAsync);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Single(app.Logs.Lines, line => line.EventId == NotDropped && line.Level == LogLevel.Error);
        await AdvanceUntilAsync(() => Drops() == 3, "it is asked again and again");
        Fail();
        await AdvanceUntilAsync(() => Drops() == 4, "it is asked once more");
        Assert.False(await _store!.DiscardWriteAheadAsync(1, CancellationToken.None));
    }

    [Fact]
    public async Task A_failure_that_cannot_be_queued_goes_to_the_caller_and_is_forgotten()
    {
        await using var app = CreateOnFaultyStore();
        Fail(nameof(IQueueStore.CommitWriteAheadAsync));

        var failure = await Assert.ThrowsAsync<HttpRequestException>(() => app.Client.SendAsync(Post(_deadUri)));

        Assert.Equal("The disk is asleep.", failure.GetNotQueuedReason());
        Assert.Equal(1, Drops());
        Assert.Empty(await app.EntriesAsync());
    }

    [Fact]
    public async Task A_held_request_that_is_gone_is_queued_anew()
    {
        TestApplication? app = null;
        await using var _ = app = Create(WriteAhead, inner: builder => builder.AddHttpMessageHandler(
            () => new ObservingHandler(_ => Execute(app!, "DELETE FROM held"))));

        var queued = await Assert.ThrowsAsync<RequestQueuedException>(
            () => app.Client.SendAsync(Post(_deadUri, new StreamContent(new OneShotStream(_large)))));

        Assert.Equal(queued.EntryId, Assert.Single(await app.EntriesAsync()).Id);
        Assert.Equal(_large, await app.BodyOfAsync(queued.EntryId));
    }

    [Fact]
    public async Task What_a_process_held_when_it_died_is_sent_at_the_next_start_and_everybody_is_told()
    {
        using var directory = new TempDirectory();
        await using var server = new RawServer(Scripts.Respond(200));
        await WriteAheadAndDieAsync(directory, server.Uri);
        await using var app = Create(WriteAhead, directory);
        var events = EventsAsync(app, count: 4);

        var summary = await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal((1, 1), (summary.Delivered, summary.DeadLettered));
        Assert.Equal("order", Assert.Single(server.Requests).Text);
        Assert.Equal(DeadLetterCause.MaybeProcessed, Assert.Single(await app.DeadLettersAsync()).Cause);
        var told = await events;
        Assert.Equal(
            [EntryEventKind.Queued, EntryEventKind.DeadLettered, EntryEventKind.Sending, EntryEventKind.Delivered],
            told.Select(happened => happened.Kind));
        Assert.All(told[..2], happened => Assert.Equal(ReclaimedWork.Interrupted, happened.Reason));
        Assert.Single(app.Logs.Lines, line => line.EventId == 2000);
        Assert.Single(app.Logs.Lines, line => line.EventId == 2005);
    }

    private static void WriteAhead(BackgroundSyncOptions sync) => sync.WriteAhead = true;

    private static HttpRequestMessage Post(Uri uri, HttpContent? content = null) =>
        new(HttpMethod.Post, uri) { Content = content ?? new StringContent("order") };

    private static HttpRequestException Unreachable() => new(HttpRequestError.ConnectionError);

    private static long Count(TestApplication app, string table)
    {
        using var connection = new SqliteConnection($"Data Source={app.Path};Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = $"SELECT count(*) FROM {table}";
        return (long)command.ExecuteScalar()!;
    }

    private static void Execute(TestApplication app, string sql)
    {
        using var connection = new SqliteConnection($"Data Source={app.Path};Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    private static async Task<EntryEvent> FirstEventAsync(TestApplication app) => Assert.Single(await EventsAsync(app, count: 1));

    /// <summary>Watches from now on.</summary>
    private static Task<List<EntryEvent>> EventsAsync(TestApplication app, int count)
    {
        var updates = app.Queue.WatchAsync().GetAsyncEnumerator();
        var first = updates.MoveNextAsync();
        return ReadAsync().WaitAsync(TimeSpan.FromSeconds(30));

        async Task<List<EntryEvent>> ReadAsync()
        {
            await using (updates)
            {
                await first;
                var events = new List<EntryEvent>();
                while (events.Count < count && await updates.MoveNextAsync())
                {
                    events.AddRange(updates.Current.Events);
                }

                return events;
            }
        }
    }

    private async Task WriteAheadAndDieAsync(TempDirectory directory, Uri uri)
    {
        await using var store = new SqliteQueueStore(
            new SqliteStoreOptions { Path = directory.File("queues.db") }, Clock, NullLogger<SqliteQueueStore>.Instance);
        var entry = new NewEntry
        {
            Queue = TestApplication.QueueName,
            Request = new RequestSnapshot { Method = HttpMethod.Post, Uri = uri, ContentHeaders = [] },
            Body = EntryBody.FromBytes("order"u8.ToArray()),
            Timestamp = Clock.GetUtcNow(),
        };
        await store.BeginWriteAheadAsync(entry, isRepeatable: true, CancellationToken.None);
        await store.BeginWriteAheadAsync(entry, isRepeatable: false, CancellationToken.None);
    }

    private TestApplication CreateOnFaultyStore(Action<BackgroundSyncOptions>? configure = null)
    {
        _store = new FaultyStore(new MemoryQueueStore(Clock));
        Fail();
        return Create(
            sync =>
            {
                WriteAhead(sync);
                configure?.Invoke(sync);
            },
            services: services => services.Replace(ServiceDescriptor.Singleton<IQueueStore>(_store)));
    }

    private void Fail(params string[] failing) => _store!.Before = operation =>
    {
        lock (_operations)
        {
            _operations.Add(operation);
        }

        if (failing.Contains(operation))
        {
            throw new QueueStoreException(StoreFault.Locked, "The disk is asleep.");
        }
    };

    private int Drops()
    {
        lock (_operations)
        {
            return _operations.Count(operation => operation == nameof(IQueueStore.DiscardWriteAheadAsync));
        }
    }

    private sealed class SendingAgain : DelegatingHandler
    {
        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            try
            {
                return await base.SendAsync(request, cancellationToken);
            }
            catch (HttpRequestException)
            {
                return await base.SendAsync(request, cancellationToken);
            }
        }
    }
}
