using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Replay;

/// <summary>Every wait of the replay ends: handlers that ignore their token, stores that fail, loggers that throw.</summary>
public sealed class NothingWaitsForeverTests
{
    private static readonly Uri _somewhere = new("http://api.test/orders");

    [Theory]
    [InlineData("stop")]
    [InlineData("replay")]
    [InlineData("dispose")]
    public async Task Handler_that_ignores_its_token_is_left_behind_and_its_late_answer_disposed_of(string how)
    {
        var sent = new TaskCompletionSource();
        var answer = new TaskCompletionSource<HttpResponseMessage>();
        var app = new TestApplication(
            static options => options.Replay.ShutdownGrace = TimeSpan.FromMilliseconds(100),
            primary: () => new StubHandler(_ =>
            {
                sent.TrySetResult();
                return answer.Task;
            }));
        await app.Queue.PushAsync(Post());
        if (how == "replay")
        {
            Assert.False((await Eventually.DoneAsync(app.Queue.ReplayAsync(TimeSpan.FromSeconds(1)), "the replay")).Completed);
        }
        else
        {
            await app.Sync.StartAsync();
            await sent.Task;
            await Eventually.DoneAsync(
                Done(how == "stop" ? app.Sync.StopAsync() : ((ServiceProvider)app.Services).DisposeAsync().AsTask()), how);
        }

        var late = new Disposable();
        answer.SetResult(new HttpResponseMessage { Content = late });
        await Eventually.TrueAsync(() => late.IsDisposed, "the late answer was disposed of");
        if (how != "dispose")
        {
            await app.DisposeAsync();
        }
    }

    [Fact]
    public async Task Logger_that_throws_for_a_while_does_not_end_the_replays()
    {
        var isFull = false;
        var isUp = false;
        var sends = 0;
        using var logger = new ThrowingLogger(() => isFull);
        await using var app = new TestApplication(
            static options => options.Retry.MinBackoff = options.Retry.MaxBackoff = TimeSpan.FromMilliseconds(10),
            services: services => services.AddSingleton<ILoggerProvider>(logger),
            primary: () => new StubHandler(_ =>
            {
                Interlocked.Increment(ref sends);
                return isUp ? Task.FromResult(new HttpResponseMessage()) : throw new HttpRequestException(HttpRequestError.ConnectionError);
            }));
        await app.Queue.PushAsync(Post());
        isFull = true;
        await app.Sync.StartAsync();
        await Eventually.TrueAsync(() => sends > 3, "it was tried while the log is full");
        isUp = true;
        isFull = false;

        await EmptyAsync(app);
    }

    [Fact]
    public async Task Store_that_fails_neither_makes_the_loop_spin_nor_floods_the_log()
    {
        FaultyStore? faulty = null;
        var isBroken = false;
        var polls = 0;
        await using var app = new TestApplication(
            static options =>
            {
                options.Retry.MinBackoff = TimeSpan.FromMilliseconds(200);
                options.Retry.MaxBackoff = TimeSpan.FromMilliseconds(200);
            },
            services: services => services.AddSingleton<BgSync.Http.Storage.IQueueStore>(_ => faulty = new FaultyStore(
                new BgSync.Http.Storage.Memory.MemoryQueueStore(TimeProvider.System))
            {
                Before = operation =>
                {
                    if (isBroken && operation == "LeaseAsync")
                    {
                        Interlocked.Increment(ref polls);
                        throw new QueueStoreException(StoreFault.Full, "The disk is full.");
                    }
                },
            }),
            primary: () => new StubHandler(static _ => Task.FromResult(new HttpResponseMessage())));
        isBroken = true;
        await app.Queue.PushAsync(Post());
        await app.Sync.StartAsync();
        await Eventually.TrueAsync(() => polls >= 5, "it was tried again");

        Assert.InRange(polls, 5, 20);
        Assert.Single(app.Logs.Lines, static line => line.EventId == 3001);
        isBroken = false;
        await EmptyAsync(app);
    }

    [Fact]
    public async Task Store_that_fails_while_the_host_stops_lets_it_stop()
    {
        var isBroken = false;
        var sent = new TaskCompletionSource();
        await using var app = new TestApplication(
            static options => options.Replay.ShutdownGrace = TimeSpan.FromMilliseconds(10),
            services: services => services.AddSingleton<BgSync.Http.Storage.IQueueStore>(_ => new FaultyStore(
                new BgSync.Http.Storage.Memory.MemoryQueueStore(TimeProvider.System))
            {
                Before = _ =>
                {
                    if (isBroken)
                    {
                        throw new QueueStoreException(StoreFault.Full, "The disk is full.");
                    }
                },
            }),
            primary: () => new WaitingHandler(sent));
        await app.Queue.PushAsync(Post());
        await app.Sync.StartAsync();
        await sent.Task;
        isBroken = true;

        await Eventually.DoneAsync(Done(app.Sync.StopAsync()), "the stop");
        isBroken = false;
    }

    [Fact]
    public async Task Interval_near_the_longest_timer_is_slept_through()
    {
        await using var app = new TestApplication(
            static options => options.Replay.Interval = TimeSpan.FromMilliseconds(uint.MaxValue - 1),
            primary: () => new StubHandler(static _ => Task.FromResult(new HttpResponseMessage())));
        await app.Sync.StartAsync();
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        await app.Queue.PushAsync(Post());
        await EmptyAsync(app);

        Assert.DoesNotContain(app.Logs.Lines, static line => line.EventId == 3001);
    }

    [Theory]
    [InlineData(false, nameof(DeadLetterCause.MaybeProcessed))]
    [InlineData(true, null)]
    public async Task Stop_in_the_middle_of_a_POST_ends_as_a_time_out_does(bool isKeyed, string? cause)
    {
        using var directory = new TempDirectory();
        await using var server = new RawServer(Scripts.NeverAnswer());
        var app = new TestApplication(
            options => options.IdempotencyKeyHeader = isKeyed ? options.IdempotencyKeyHeader : null, directory: directory);
        await app.Queue.PushAsync(Post(server.Uri));
        await app.Sync.StartAsync();
        await Eventually.TrueAsync(() => server.Requests.Any(static request => request.Complete), "the server has the request");

        await app.Sync.StopAsync(new CancellationToken(canceled: true));

        Assert.Equal(cause, (await app.DeadLettersAsync()).SingleOrDefault()?.Cause.ToString());
        Assert.Equal(isKeyed ? 1 : 0, (await app.Queue.CountAsync()).Pending);
        await app.DisposeAsync();
    }

    [Fact]
    public async Task Kill_in_the_middle_of_a_POST_without_a_key_ends_as_a_time_out_does()
    {
        using var directory = new TempDirectory();
        var sends = 0;
        TestApplication Open() => new(
            static options => options.IdempotencyKeyHeader = null,
            primary: () => new StubHandler(_ =>
            {
                sends++;
                return Task.FromResult(new HttpResponseMessage());
            }),
            directory: directory);
        await using (var killed = Open())
        {
            await killed.Queue.PushAsync(Post());
            // The lease of a process that ends without a word.
            Assert.Single(await killed.Store.LeaseAsync(
                TestApplication.QueueName, "http://api.test", 1, TimeSpan.FromMinutes(1), CancellationToken.None));
        }

        await using var next = Open();
        await next.Queue.ReplayAsync(TimeSpan.FromSeconds(10));

        Assert.Equal(0, sends);
        Assert.Equal(DeadLetterCause.MaybeProcessed, Assert.Single(await next.DeadLettersAsync()).Cause);
    }

    [Fact]
    public async Task Upload_that_moves_is_not_cut_by_the_time_of_an_attempt()
    {
        await using var server = new RawServer(async (connection, token) =>
        {
            // A steady link: the body takes several times as long as an attempt may.
            await connection.WriteAsync("HTTP/1.1 100 Continue\r\n\r\n", token);
            await connection.ReadRequestAsync(token);
            await connection.RespondAsync(200, "", [("Connection", "close")], token);
        });
        using var slow = new SlowLink(server.Port, bytesAtATime: 256 * 1024, pause: TimeSpan.FromMilliseconds(100));
        await using var app = new TestApplication(
            static options => options.AttemptTimeout = TimeSpan.FromSeconds(2),
            primary: static () => new SocketsHttpHandler
            {
                // The kernel would take megabytes at once, and the time would run while they are on their way.
                ConnectCallback = static async (context, token) =>
                {
                    var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { SendBufferSize = 64 * 1024 };
                    await socket.ConnectAsync(context.DnsEndPoint, token);
                    return new NetworkStream(socket, ownsSocket: true);
                },
            });
        await app.Queue.PushAsync(new HttpRequestMessage(HttpMethod.Put, $"http://127.0.0.1:{slow.Port}/")
        {
            Content = new ByteArrayContent(new byte[4 * 1024 * 1024]),
        });

        var summary = await app.Queue.ReplayAsync(TimeSpan.FromSeconds(60));

        Assert.Equal(1, summary.Delivered);
        Assert.Equal(1, slow.Connections);
    }

    private static async Task<bool> Done(Task task)
    {
        await task;
        return true;
    }

    private static HttpRequestMessage Post(Uri? uri = null) =>
        new(HttpMethod.Post, uri ?? _somewhere) { Content = new StringContent("one order") };

    private static Task EmptyAsync(TestApplication app) => Eventually.TrueAsync(
        () => app.Queue.CountAsync().AsTask().GetAwaiter().GetResult().Pending == 0, "the queue is empty");

    private sealed class Disposable : ByteArrayContent
    {
        public Disposable()
            : base([])
        {
        }

        public bool IsDisposed { get; private set; }

        protected override void Dispose(bool disposing)
        {
            IsDisposed = true;
            base.Dispose(disposing);
        }
    }

    private sealed class WaitingHandler(TaskCompletionSource sent) : HttpMessageHandler
    {
        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            sent.TrySetResult();
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellationToken);
            return new HttpResponseMessage(HttpStatusCode.OK);
        }
    }

    private sealed class ThrowingLogger(Func<bool> isFull) : ILoggerProvider, ILogger
    {
        // The framework's own loggers are not ours to make safe.
        public ILogger CreateLogger(string categoryName) =>
            categoryName.StartsWith("BgSync", StringComparison.Ordinal) ? this : NullLogger.Instance;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (isFull())
            {
                throw new InvalidOperationException("The log is full.");
            }
        }

        public void Dispose()
        {
        }
    }
}
