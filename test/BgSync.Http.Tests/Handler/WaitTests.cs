using System.Net;
using BgSync.Http.Events;
using BgSync.Http.Storage;
using BgSync.Http.Storage.Memory;
using BgSync.Http.Tests.Replay;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Handler;

/// <summary>A caller that waits for the response to its queued request, and every way out of that.</summary>
public sealed class WaitTests : ReplayFixture
{
    /// <summary>More than is kept of a response.</summary>
    private static readonly string _body = string.Concat(Enumerable.Range(0, 10_000));

    [Theory]
    [InlineData(true, 4096)]
    [InlineData(false, 4096)]
    [InlineData(true, 0)]
    [InlineData(false, 0)]
    public async Task The_caller_gets_the_servers_own_response_when_the_entry_is_delivered(bool isAsync, int kept)
    {
        await using var server = new RawServer(Scripts.Respond(201, _body, ("Set-Cookie", "a=b"), ("Content-Language", "en")));
        await using var app = await StartWaitingAsync(sync => sync.Receipts.ResponseBodyLength = kept);
        using var request = Post(server);

        var call = await SendWhileDownAsync(app, server, request, isAsync);
        server.Start();
        app.Network.Raise(NetworkSignal.Available);
        using var response = await call;

        Assert.Equal((HttpStatusCode.Created, "a=b"), (response.StatusCode, Assert.Single(response.Headers.GetValues("Set-Cookie"))));
        Assert.Equal((_body, "en"), (await response.Content.ReadAsStringAsync(), Assert.Single(response.Content.Headers.ContentLanguage)));
        Assert.Same(request, response.RequestMessage);
        Assert.True(request.TryGetBackgroundSyncEntryId(out var id));
        Assert.Equal(ReceiptState.Delivered, (await app.Queue.GetReceiptAsync(id))!.State);
        await EmptyAsync(app);
    }

    [Fact]
    public async Task The_caller_and_OnReplayed_may_both_read_the_response()
    {
        string? seen = null;
        await using var server = new RawServer(Scripts.Respond(200, _body));
        await using var app = await StartWaitingAsync(sync => sync.OnReplayed = async (context, token) =>
            seen = await context.Response.Content.ReadAsStringAsync(token));

        using var response = await DeliverAsync(app, server);

        Assert.Equal((_body, _body), (seen, await response.Content.ReadAsStringAsync()));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_response_whose_body_breaks_off_fails_as_it_would_have_live_and_the_entry_is_delivered(bool isShown)
    {
        await using var server = new RawServer(Scripts.TruncateBody(200));
        await using var app = await StartWaitingAsync(sync => sync.OnReplayed = isShown ? (_, _) => Task.CompletedTask : null);

        await Assert.ThrowsAsync<HttpRequestException>(() => DeliverAsync(app, server));

        await EmptyAsync(app);
        Assert.Single(server.Requests);
    }

    [Fact]
    public async Task A_response_without_an_end_can_be_read_as_it_comes()
    {
        await using var server = new RawServer(Scripts.EndlessBody(200));
        await using var app = await StartWaitingAsync();
        using var request = Post(server);
        await server.StopAsync();
        var queued = app.Queue.UntilAsync(EntryEventKind.Queued);
        var call = EndsAsync(app.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead));
        await queued;
        server.Start();
        app.Network.Raise(NetworkSignal.Available);

        using var response = await call;
        await using var body = await response.Content.ReadAsStreamAsync();
        var read = new byte[100_000];
        await body.ReadExactlyAsync(read);

        Assert.All(read, static letter => Assert.Equal((byte)'x', letter));
        await EmptyAsync(app);
    }

    [Fact]
    public async Task A_response_by_which_the_server_rejects_it_is_the_callers()
    {
        await using var server = new RawServer(Scripts.Respond(422, _body));
        await using var app = await StartWaitingAsync();

        using var response = await DeliverAsync(app, server);

        Assert.Equal((HttpStatusCode.UnprocessableEntity, _body), (response.StatusCode, await response.Content.ReadAsStringAsync()));
        Assert.Equal(DeadLetterCause.Rejected, Assert.Single(await app.DeadLettersAsync()).Cause);
    }

    [Fact]
    public async Task Until_the_server_takes_it_the_caller_waits()
    {
        await using var server = new RawServer(RawServer.Sequence(Scripts.Respond(503), Scripts.CloseAfterRequest(), Scripts.Respond(200)));
        await using var app = await StartWaitingAsync();
        var call = await SendWhileDownAsync(app, server);
        server.Start();
        app.Network.Raise(NetworkSignal.Available);

        await AdvanceUntilAsync(() => call.IsCompleted, "the call returns");

        Assert.Equal(HttpStatusCode.OK, (await call).StatusCode);
        Assert.Equal(3, server.Requests.Count);
    }

    [Fact]
    public async Task An_entry_that_becomes_a_dead_letter_without_an_answer_fails_with_the_cause()
    {
        await using var server = new RawServer(Scripts.Respond(500));
        await using var app = await StartWaitingAsync(sync => sync.Retry.MaxAttempts = 1);

        var failed = await Assert.ThrowsAsync<RequestNotDeliveredException>(() => DeliverAsync(app, server));

        Assert.Equal((TestApplication.QueueName, DeadLetterCause.Exhausted), (failed.Queue, failed.Cause));
        Assert.Equal(HttpStatusCode.InternalServerError, failed.StatusCode);
        Assert.Equal(Assert.Single(await app.DeadLettersAsync()).Id, failed.EntryId);
        Assert.Contains("The server answered 500.", failed.Message, StringComparison.Ordinal);
        Assert.IsType<HttpRequestException>(failed.InnerException);
    }

    [Fact]
    public async Task An_entry_that_expires_fails_with_the_cause()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = await StartWaitingAsync(sync => sync.MaxRetentionTime = TimeSpan.FromSeconds(10));
        var call = await SendWhileDownAsync(app, server);

        await AdvanceUntilAsync(() => call.IsCompleted, "the call returns");

        Assert.Equal(DeadLetterCause.Expired, (await Assert.ThrowsAsync<RequestNotDeliveredException>(() => call)).Cause);
    }

    [Theory]
    [InlineData("removed")]
    [InlineData("taken")]
    [InlineData("cleared")]
    public async Task An_entry_that_is_taken_away_by_hand_fails_at_once(string how)
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = await StartWaitingAsync();
        using var request = Post(server);
        var call = await SendWhileDownAsync(app, server, request);
        var entry = Assert.Single(await app.EntriesAsync());

        switch (how)
        {
            case "removed":
                await app.Queue.RemoveAsync(entry.Id);
                break;
            case "taken":
                (await app.Queue.PopAsync())!.Dispose();
                break;
            default:
                await app.Queue.ClearAsync();
                break;
        }

        var failed = await Assert.ThrowsAsync<RequestNotDeliveredException>(() => call);
        Assert.Equal((entry.Id, null), (failed.EntryId, failed.Cause));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task After_the_time_the_caller_is_told_that_it_is_queued_and_not_before(bool isAsync)
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = await StartWaitingAsync(sync => sync.WaitTimeout = TimeSpan.FromSeconds(90));
        using var request = Post(server);
        var call = await SendWhileDownAsync(app, server, request, isAsync);
        var began = Clock.GetUtcNow();

        await AdvanceUntilAsync(() => call.IsCompleted, "the call returns");

        Assert.True(Clock.GetUtcNow() - began >= TimeSpan.FromSeconds(90));

        var queued = await Assert.ThrowsAsync<RequestQueuedException>(() => call);
        Assert.Equal(Assert.Single(await app.EntriesAsync()).Id, queued.EntryId);
        server.Start();
        app.Network.Raise(NetworkSignal.Available);
        await EmptyAsync(app);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task The_callers_cancel_leaves_the_entry_queued(bool isAsync)
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = await StartWaitingAsync();
        using var request = Post(server);
        using var caller = new CancellationTokenSource();
        var call = await SendWhileDownAsync(app, server, request, isAsync, cancellationToken: caller.Token);

        await caller.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
        Assert.Single(await app.EntriesAsync());
        server.Start();
        app.Network.Raise(NetworkSignal.Available);
        await EmptyAsync(app);
    }

    [Fact]
    public async Task A_response_that_nobody_waits_for_any_more_frees_its_connection()
    {
        await using var server = new RawServer(Scripts.StallBody(200));
        await using var app = await StartWaitingAsync(sync => sync.AttemptTimeout = TimeSpan.FromSeconds(10));
        using var request = Post(server);
        using var caller = new CancellationTokenSource();
        var call = await SendWhileDownAsync(app, server, request, cancellationToken: caller.Token);
        server.Start();
        app.Network.Raise(NetworkSignal.Available);
        await Eventually.TrueAsync(() => server.Requests.Count == 1, "the entry is sent");

        await caller.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
        await AdvanceUntilAsync(() => app.Queue.CountAsync().AsTask().GetAwaiter().GetResult().Pending == 0, "the entry is delivered");

        Assert.False(app.Services.GetRequiredService<EntryWaiters>().IsAwaited(1));
    }

    [Fact]
    public async Task A_stop_ends_the_wait_at_once_though_the_entry_is_being_sent()
    {
        await using var server = new RawServer(Scripts.NeverAnswer());
        await using var app = await StartWaitingAsync();
        var call = await SendWhileDownAsync(app, server);
        server.Start();
        app.Network.Raise(NetworkSignal.Available);
        await Eventually.TrueAsync(() => server.Requests.Count == 1, "the entry is sent");

        var stopping = app.Sync.StopAsync();

        await Assert.ThrowsAsync<RequestQueuedException>(() => call);
        await AdvanceUntilAsync(() => stopping.IsCompleted, "the grace is over");
        await stopping;
        Assert.Single(await app.EntriesAsync());
    }

    [Fact]
    public async Task The_host_ends_the_wait_before_it_stops_a_server_that_drains_its_requests()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = await StartWaitingAsync();
        var call = await SendWhileDownAsync(app, server);
        var hosted = app.Services.GetServices<IHostedService>().OfType<IHostedLifecycleService>().Single();

        await hosted.StoppingAsync(TestContext.Current.CancellationToken);

        await Assert.ThrowsAsync<RequestQueuedException>(() => call);
        await Assert.ThrowsAsync<RequestQueuedException>(() => EndsAsync(app.Client.SendAsync(Post(server))));
    }

    [Fact]
    public async Task The_end_of_the_container_ends_the_wait()
    {
        using var directory = new TempDirectory();
        await using var server = new RawServer(Scripts.Respond(200));
        var app = Create(Wait, directory);
        var call = await SendWhileDownAsync(app, server);

        await ((ServiceProvider)app.Services).DisposeAsync();

        await Assert.ThrowsAsync<RequestQueuedException>(() => call);
    }

    [Fact]
    public async Task After_a_stop_and_a_start_callers_wait_again()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = await StartWaitingAsync();
        await app.Sync.StopAsync(new CancellationToken(canceled: true));
        await server.StopAsync();
        await Assert.ThrowsAsync<RequestQueuedException>(() => EndsAsync(app.Client.SendAsync(Post(server))));

        await app.Sync.StartAsync();
        var call = await SendWhileDownAsync(app, server);
        server.Start();
        app.Network.Raise(NetworkSignal.Available);

        Assert.Equal(HttpStatusCode.OK, (await call).StatusCode);
    }

    [Fact]
    public async Task Where_nobody_sends_the_call_ends_with_the_time()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create(Wait);
        var call = await SendWhileDownAsync(app, server);
        server.Start();

        await AdvanceUntilAsync(() => call.IsCompleted, "the call returns");

        await Assert.ThrowsAsync<RequestQueuedException>(() => call);
        Assert.Empty(server.Requests);
    }

    [Theory]
    [InlineData(4, "made", "made")]
    [InlineData(3, "made", null)]
    [InlineData(0, "", null)]
    public async Task What_another_process_delivered_is_told_by_its_receipt_and_never_cut_in_silence(int kept, string body, string? told)
    {
        using var directory = new TempDirectory();
        await using var server = new RawServer(Scripts.Respond(201, body, ("X-Trace", "7"), ("Content-Language", "en")));
        await using var app = Create(Wait, directory);
        await using var other = Create(sync => sync.Receipts.ResponseBodyLength = kept, directory);
        await server.StopAsync();
        using var request = Post(server);
        var queued = app.Queue.UntilAsync(EntryEventKind.Queued);
        var call = EndsAsync(app.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead));
        await queued;
        server.Start();
        await other.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        await AdvanceUntilAsync(() => call.IsCompleted, "the call returns");

        using var response = await call;
        Assert.Equal((HttpStatusCode.Created, request), (response.StatusCode, response.RequestMessage));
        if (kept > 0)
        {
            Assert.Equal(["7"], response.Headers.GetValues("X-Trace"));
            Assert.Equal(["en"], response.Content.Headers.ContentLanguage);
        }

        if (told is not null)
        {
            Assert.Equal(told, await response.Content.ReadAsStringAsync());
            return;
        }

        var cut = await Assert.ThrowsAsync<HttpRequestException>(() => response.Content.LoadIntoBufferAsync());
        Assert.Equal(HttpRequestError.ResponseEnded, Assert.IsType<HttpIOException>(cut.InnerException).HttpRequestError);
    }

    [Fact]
    public async Task An_entry_that_was_sent_before_anybody_waited_is_told_by_its_receipt()
    {
        await using var server = new RawServer(Scripts.Respond(200, "made"));
        var sent = new SendWhenQueued();
        await using var app = sent.Application = Create(Wait, services: services => services.AddSingleton<ILoggerProvider>(sent));
        await server.StopAsync();
        sent.Before = server.Start;

        using var response = await EndsAsync(app.Client.SendAsync(Post(server)));

        Assert.Equal("made", await response.Content.ReadAsStringAsync());
        Assert.Single(server.Requests);
    }

    [Fact]
    public async Task A_store_that_cannot_say_what_became_of_it_is_asked_again()
    {
        var store = new FaultyStore(new MemoryQueueStore(Clock));
        var isFaulty = true;
        var asked = 0;
        store.Before = operation =>
        {
            if (operation == nameof(IQueueStore.GetReceiptAsync))
            {
                asked++;
                if (isFaulty)
                {
                    throw new QueueStoreException(StoreFault.Locked, "Locked.");
                }
            }
        };
        await using var server = new RawServer(Scripts.Respond(200, "made"));
        await using var app = await StartWaitingAsync(services: services => services.AddSingleton<IQueueStore>(store));
        var call = await SendWhileDownAsync(app, server);
        server.Start();
        app.Network.Raise(NetworkSignal.Available);
        await Eventually.TrueAsync(() => server.Requests.Count == 1 && asked > 1, "the store was asked");
        isFaulty = false;

        await AdvanceUntilAsync(() => call.IsCompleted, "the call returns");

        Assert.Equal("made", await (await call).Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task Who_waits_holds_nobody_of_the_lane_up()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = await StartWaitingAsync(sync => sync.Overtaking = Overtaking.Never);
        var first = await SendWhileDownAsync(app, server);

        var second = await SendWhileDownAsync(app, server);
        server.Start();
        app.Network.Raise(NetworkSignal.Available);

        Assert.All(await Task.WhenAll(first, second), response => Assert.Equal(HttpStatusCode.OK, response.StatusCode));
        Assert.Equal(2, server.Requests.Count);
    }

    [Fact]
    public async Task Many_wait_side_by_side_and_each_gets_its_own_response()
    {
        await using var server = new RawServer(async (connection, cancellationToken) =>
        {
            var request = await connection.ReadRequestAsync(cancellationToken);
            await connection.RespondAsync(200, "response to " + request.Text, [], cancellationToken);
        });
        await using var app = await StartWaitingAsync(sync => sync.LaneBy(request => request.RequestUri!.Query));
        await server.StopAsync();
        var queued = app.Queue.UntilAsync(EntryEventKind.Queued, 50);
        var calls = Enumerable.Range(0, 50)
            .Select(i => EndsAsync(app.Client.PostAsync(new Uri(server.Uri, $"?{i}"), new StringContent($"{i}"))))
            .ToArray();
        await queued;
        server.Start();
        app.Network.Raise(NetworkSignal.Available);

        var responses = await Task.WhenAll(calls);

        for (var i = 0; i < 50; i++)
        {
            Assert.Equal($"response to {i}", await responses[i].Content.ReadAsStringAsync());
        }
    }

    [Fact]
    public async Task A_request_that_is_pushed_by_hand_is_not_waited_for()
    {
        await using var app = Create(Wait);

        Assert.Equal(1, await app.Queue.PushAsync(new(HttpMethod.Post, "http://api.example.com/")));
    }

    [Fact]
    public async Task What_an_inner_queue_waits_for_is_not_taken_twice()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create(
            sync => sync.AttemptTimeout = TimeSpan.FromSeconds(10), inner: builder => builder.AddBackgroundSync("inner", Wait));
        await server.StopAsync();
        var inner = app.Services.GetRequiredKeyedService<IBackgroundSyncQueue>("inner");
        var queued = inner.UntilAsync(EntryEventKind.Queued);
        var call = EndsAsync(app.Client.SendAsync(Post(server)));
        await queued;

        await AdvanceUntilAsync(() => call.IsCompleted, "the outer time is up");

        Assert.Equal("inner", (await Assert.ThrowsAsync<RequestQueuedException>(() => call)).Queue);
        Assert.Equal((0, 1), ((await app.Queue.CountAsync()).Pending, (await inner.CountAsync()).Pending));
    }

    private static void Wait(BackgroundSyncOptions options) => options.WhenQueued = WhenQueued.Wait;

    private Task<TestApplication> StartWaitingAsync(
        Action<BackgroundSyncOptions>? configure = null, Action<IServiceCollection>? services = null) => StartAsync(
            sync =>
            {
                Wait(sync);
                configure?.Invoke(sync);
            },
            services);

    private static HttpRequestMessage Post(RawServer server) => new(HttpMethod.Post, server.Uri) { Content = new StringContent("order") };

    /// <summary>Sends while the server is down, until the request is queued.</summary>
    private static async Task<Task<HttpResponseMessage>> SendWhileDownAsync(
        TestApplication app,
        RawServer server,
        HttpRequestMessage? request = null,
        bool isAsync = true,
        CancellationToken cancellationToken = default)
    {
        await server.StopAsync();
        var queued = app.Queue.UntilAsync(EntryEventKind.Queued);
        var call = EndsAsync(app.Client.SendAsync(request ?? Post(server), isAsync, cancellationToken));
        await queued;
        return call;
    }

    private static async Task<HttpResponseMessage> DeliverAsync(TestApplication app, RawServer server)
    {
        var call = await SendWhileDownAsync(app, server);
        server.Start();
        app.Network.Raise(NetworkSignal.Available);
        return await call;
    }

    /// <summary>A call that must end: where nobody wakes its caller, a test is to fail and not to hang.</summary>
    private static Task<HttpResponseMessage> EndsAsync(Task<HttpResponseMessage> call) => Eventually.DoneAsync(call, "the call returns");

    /// <summary>Sends an entry as soon as it is stored, before the handler knows its number.</summary>
    private sealed class SendWhenQueued : ILoggerProvider, ILogger
    {
        public TestApplication? Application { get; set; }

        public Action Before { get; set; } = static () => { };

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (eventId.Id == 2000)
            {
                Before();
                Application!.Queue.ReplayAsync(Timeout.InfiniteTimeSpan).GetAwaiter().GetResult();
            }
        }

        public void Dispose()
        {
        }
    }
}
