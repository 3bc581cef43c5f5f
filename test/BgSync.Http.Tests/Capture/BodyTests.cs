using BgSync.Http.Capture;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.DependencyInjection;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Capture;

/// <summary>A body reaches the store whole, whenever and however the send failed, or the caller is told why it did not.</summary>
public sealed class BodyTests
{
    private const int KiB = 1024;
    private const int Chunk = 256 * KiB;

    private static readonly byte[] _large = TestBytes.Random(3 * 1024 * KiB);

    /// <summary>Every way in which a body is made repeatable.</summary>
    public static TheoryData<string, Func<byte[], HttpContent>> Kinds => new()
    {
        { "in memory", bytes => new ByteArrayContent(bytes) },
        { "re-readable", bytes => new StreamContent(new CountingStream(bytes)) },
        { "read once", bytes => new StreamContent(new OneShotStream(bytes)) },
        { "an application's own", bytes => new PushContent(bytes) },
    };

    [Fact]
    public async Task A_body_is_read_once_when_the_send_succeeds()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = new TestApplication();
        var (seekable, own) = (new CountingStream(_large), new PushContent(_large));

        using var first = await app.Client.PostAsync(server.Uri, new StreamContent(seekable));
        using var second = await app.Client.PostAsync(server.Uri, own);

        Assert.Equal((_large.Length, 1), (seekable.BytesRead, own.TimesRead));
    }

    [Theory]
    [MemberData(nameof(Kinds), DisableDiscoveryEnumeration = true)]
    public async Task A_body_that_was_not_sent_is_queued_whole(string kind, Func<byte[], HttpContent> content)
    {
        await using var app = new TestApplication();

        Assert.Equal(_large, await QueueAsync(app, DeadUri, content(_large)));
        Assert.NotEmpty(kind);
    }

    [Theory]
    [MemberData(nameof(Kinds), DisableDiscoveryEnumeration = true)]
    public async Task A_body_that_was_sent_in_part_is_queued_whole(string kind, Func<byte[], HttpContent> content)
    {
        await using var server = new RawServer(Scripts.ResetDuringUpload(100_000));
        await using var app = new TestApplication();
        var body = TestBytes.Random(20 * 1024 * KiB);

        Assert.Equal(body, await QueueAsync(app, server.Uri, content(body)));
        Assert.False(Assert.Single(server.Requests).Complete);
        Assert.NotEmpty(kind);
    }

    [Theory]
    [MemberData(nameof(Kinds), DisableDiscoveryEnumeration = true)]
    public async Task A_body_that_was_sent_to_the_end_is_queued_whole(string kind, Func<byte[], HttpContent> content)
    {
        await using var server = new RawServer(Scripts.CloseAfterRequest());
        await using var app = new TestApplication();

        Assert.Equal(_large, await QueueAsync(app, server.Uri, content(_large)));
        Assert.Equal(_large, Assert.Single(server.Requests).Body.ToArray());
        Assert.NotEmpty(kind);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_body_that_is_read_once_is_queued_whole_by_the_synchronous_Send_too(bool isSent)
    {
        await using var server = new RawServer(Scripts.CloseAfterRequest());
        await using var app = new TestApplication();
        using var request = new HttpRequestMessage(HttpMethod.Post, isSent ? server.Uri : DeadUri)
        {
            Content = new StreamContent(new OneShotStream(_large)),
        };

        var queued = await Assert.ThrowsAsync<RequestQueuedException>(() => app.Client.SendAsync(request, isAsync: false));

        Assert.Equal(_large, await app.BodyOfAsync(queued.EntryId));
    }

    [Theory]
    [InlineData(0, false)]
    [InlineData(1, false)]
    [InlineData((64 * KiB) - 1, false)]
    [InlineData(64 * KiB, false)]
    [InlineData((64 * KiB) + 1, true)]
    [InlineData(Chunk - 1, true)]
    [InlineData(Chunk, true)]
    [InlineData(Chunk + 1, true)]
    [InlineData(2 * Chunk, true)]
    [InlineData((64 * KiB) + Chunk, true)]
    public async Task A_body_is_cut_up_only_above_InlineBodyLength(int length, bool isCutUp)
    {
        await using var app = new TestApplication();
        var body = TestBytes.Random(length);

        Assert.Equal(body, await QueueAsync(app, DeadUri, new ByteArrayContent(body)));
        Assert.Equal(isCutUp, CountChunks(app) > 0);
    }

    [Fact]
    public async Task An_inner_handler_may_send_a_body_that_is_read_once_again()
    {
        await using var server = new RawServer(Scripts.CloseAfterRequest());
        await using var app = new TestApplication(inner: SendTwice);

        Assert.Equal(_large, await QueueAsync(app, server.Uri, new StreamContent(new OneShotStream(_large))));
        Assert.All(server.Requests, read => Assert.Equal(_large, read.Body.ToArray()));
        Assert.Equal(2, server.Requests.Count);
    }

    [Fact]
    public async Task What_a_broken_reading_left_behind_is_not_taken_for_the_body()
    {
        await using var server = new RawServer(Scripts.CloseAfterRequest());
        await using var app = new TestApplication(inner: SendTwice);
        var isFirst = true;
        var content = new PushContent(async (stream, cancellationToken) =>
        {
            await stream.WriteAsync("one "u8.ToArray(), cancellationToken);
            if (isFirst)
            {
                isFirst = false;
                throw new IOException("The file is being written.");
            }

            await stream.WriteAsync("order"u8.ToArray(), cancellationToken);
        });

        Assert.Equal("one order"u8.ToArray(), await QueueAsync(app, server.Uri, content));
    }

    [Fact]
    public void A_copy_in_a_file_is_private_and_goes_when_it_is_no_longer_wanted()
    {
        using var spool = new BodySpool(memoryLimit: 10, maxLength: null);
        spool.Write(_large);
        var file = Assert.IsType<FileStream>(spool.File);
        if (!OperatingSystem.IsWindows())
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file.SafeFileHandle));
            Assert.False(File.Exists(file.Name), "a killed process would leave it behind");
        }

        spool.Dispose();

        Assert.True(file.SafeFileHandle.IsClosed);
        Assert.False(File.Exists(file.Name));
    }

    [Theory]
    [MemberData(nameof(Kinds), DisableDiscoveryEnumeration = true)]
    public async Task A_body_over_MaxBodyLength_is_not_queued(string kind, Func<byte[], HttpContent> content)
    {
        await using var server = new RawServer(Scripts.CloseAfterRequest());
        await using var app = new TestApplication(sync => sync.Limits.MaxBodyLength = 2 * 1024 * KiB);

        foreach (var uri in (Uri[])[server.Uri, DeadUri])
        {
            var failure = await Assert.ThrowsAsync<HttpRequestException>(() => app.Client.PostAsync(uri, content(_large)));
            Assert.Contains("MaxBodyLength", failure.GetNotQueuedReason(), StringComparison.Ordinal);
        }

        Assert.Empty(await app.EntriesAsync());
        Assert.Equal(0, CountChunks(app));
        Assert.Equal(_large, Assert.Single(server.Requests).Body.ToArray());
        Assert.NotEmpty(kind);
    }

    [Fact]
    public async Task A_body_of_MaxBodyLength_is_queued()
    {
        await using var app = new TestApplication(sync => sync.Limits.MaxBodyLength = _large.Length);

        Assert.Equal(_large, await QueueAsync(app, DeadUri, new PushContent(_large)));
    }

    [Fact]
    public async Task A_body_that_cannot_be_read_leaves_the_caller_with_the_failure_and_the_reason()
    {
        await using var app = new TestApplication();
        var content = new StreamContent(new OneShotStream(_large, failAt: 2 * 1024 * KiB));

        var failure = await Assert.ThrowsAsync<HttpRequestException>(() => app.Client.PostAsync(DeadUri, content));

        Assert.Equal(HttpRequestError.ConnectionError, failure.HttpRequestError);
        Assert.Contains("body could not be read", failure.GetNotQueuedReason(), StringComparison.Ordinal);
        Assert.Empty(await app.EntriesAsync());
        Assert.Equal(0, CountChunks(app));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_body_that_stalls_while_it_is_queued_is_waited_for_no_longer_than_EnqueueTimeout(bool isPushed)
    {
        var clock = new TestClock();
        await using var app = new TestApplication(clock: clock);
        using var stream = new StalledStream([1, 2, 3]);
        HttpContent content = isPushed
            ? new PushContent((destination, _) => stream.CopyToAsync(destination, CancellationToken.None))
            : new StreamContent(stream);
        var sending = app.Client.PostAsync(DeadUri, content);
        await Eventually.TrueAsync(() => stream.IsStalled, "the body has stalled");

        clock.Advance(TimeSpan.FromSeconds(30));

        var failure = await Assert.ThrowsAsync<HttpRequestException>(() => sending);
        Assert.Contains("EnqueueTimeout", failure.GetNotQueuedReason(), StringComparison.Ordinal);
        Assert.Empty(await app.EntriesAsync());
    }

    [Fact]
    public async Task A_body_that_stalls_while_it_is_sent_does_not_hold_up_the_time_out()
    {
        var clock = new TestClock();
        await using var server = new RawServer(Scripts.NeverAnswer());
        await using var app = new TestApplication(sync => sync.AttemptTimeout = TimeSpan.FromSeconds(10), clock: clock);
        using var stream = new StalledStream([1, 2, 3]);
        var sending = app.Client.PostAsync(server.Uri, new StreamContent(stream));
        await Eventually.TrueAsync(() => stream.IsStalled, "the body has stalled");
        var sent = clock.GetUtcNow();

        clock.Advance(TimeSpan.FromSeconds(10));
        await Eventually.TrueAsync(() => clock.NextTimerAt == sent.AddSeconds(40), "the request is being queued");
        clock.Advance(TimeSpan.FromSeconds(30));

        var failure = await Assert.ThrowsAsync<TaskCanceledException>(() => sending);
        Assert.IsType<TimeoutException>(failure.InnerException);
        Assert.Contains("EnqueueTimeout", failure.GetNotQueuedReason(), StringComparison.Ordinal);
        Assert.Empty(await app.EntriesAsync());
    }

    [Fact]
    public async Task A_body_that_goes_on_slowly_after_the_time_out_is_waited_for()
    {
        var clock = new TestClock();
        await using var server = new RawServer(Scripts.NeverAnswer());
        await using var app = new TestApplication(sync => sync.AttemptTimeout = TimeSpan.FromSeconds(10), clock: clock);
        var parts = new SemaphoreSlim(0);
        var written = 0;
        var sending = app.Client.PostAsync(server.Uri, new PushContent(async (stream, _) =>
        {
            for (; written < 4; written++)
            {
                await parts.WaitAsync(CancellationToken.None);
                await stream.WriteAsync(new byte[] { 1 }, CancellationToken.None);
            }
        }));
        await Eventually.TrueAsync(() => server.ConnectionCount == 1 && clock.PendingTimers > 0, "the request is being sent");
        clock.Advance(TimeSpan.FromSeconds(10));

        for (var part = 1; part <= 4; part++)
        {
            await Eventually.TrueAsync(() => clock.NextTimerAt == clock.GetUtcNow().AddSeconds(30), "the time is counted anew");
            clock.Advance(TimeSpan.FromSeconds(part == 4 ? 0 : 20));
            parts.Release();
            await Eventually.TrueAsync(() => written == part, "a part was read");
        }

        var queued = await Assert.ThrowsAsync<RequestQueuedException>(() => sending);
        Assert.Equal([1, 1, 1, 1], await app.BodyOfAsync(queued.EntryId));
    }

    [Fact]
    public async Task A_store_that_fails_in_the_middle_of_a_body_leaves_the_caller_with_the_failure_and_nothing_behind()
    {
        await using var app = new TestApplication();
        await app.Queue.CountAsync();
        Execute(app, "CREATE TRIGGER worn_out BEFORE INSERT ON body_chunk WHEN NEW.number = 3 BEGIN SELECT RAISE(ABORT, 'worn out'); END");

        var failure = await Assert.ThrowsAsync<HttpRequestException>(() => app.Client.PostAsync(DeadUri, new ByteArrayContent(_large)));

        Assert.Equal(HttpRequestError.ConnectionError, failure.HttpRequestError);
        Assert.Contains("worn out", failure.GetNotQueuedReason(), StringComparison.Ordinal);
        Assert.Empty(await app.EntriesAsync());
        Assert.Equal(0, CountChunks(app));
        Execute(app, "DROP TRIGGER worn_out");
        Assert.Equal(_large, await QueueAsync(app, DeadUri, new ByteArrayContent(_large)));
    }

    [Theory]
    [InlineData(1024 * KiB, false)]
    [InlineData((1024 * KiB) + 1, true)]
    public async Task A_replay_asks_before_it_sends_a_body_over_1_MiB(int length, bool asks)
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await server.StopAsync();
        await using var app = new TestApplication();
        await QueueAsync(app, server.Uri, new ByteArrayContent(_large, 0, length));
        server.Start();

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        var replay = Assert.Single(server.Requests);
        Assert.Equal(asks ? ["100-continue"] : [], replay.ValuesOf("Expect"));
        Assert.Equal(_large.AsSpan(0, length), replay.Body.Span);
    }

    private static Uri DeadUri { get; } = new($"http://127.0.0.1:{RawServer.RefusedPort()}/");

    /// <summary>Sends what is bound to fail, and returns the body that is stored.</summary>
    private static async Task<byte[]> QueueAsync(TestApplication app, Uri uri, HttpContent content)
    {
        var queued = await Assert.ThrowsAsync<RequestQueuedException>(() => app.Client.PostAsync(uri, content));
        return await app.BodyOfAsync(queued.EntryId);
    }

    private static long CountChunks(TestApplication app) => (long)Execute(app, "SELECT count(*) FROM body_chunk")!;

    private static object? Execute(TestApplication app, string sql)
    {
        using var connection = new SqliteConnection($"Data Source={app.Path};Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        return command.ExecuteScalar();
    }

    private static void SendTwice(IHttpClientBuilder builder) => builder.AddHttpMessageHandler(() => new PersistentHandler());

    /// <summary>Sends again what failed, once.</summary>
    private sealed class PersistentHandler : DelegatingHandler
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
