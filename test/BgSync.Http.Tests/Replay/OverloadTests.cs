using System.Net;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Replay;

/// <summary>Servers and connections that are slower than the lanes that want them.</summary>
public sealed class OverloadTests
{
    [Fact]
    public async Task Waiting_for_a_pooled_connection_is_no_attempt()
    {
        await using var server = new RawServer(async (connection, token) =>
        {
            while (true)
            {
                await connection.ReadRequestAsync(token);
                await Task.Delay(TimeSpan.FromMilliseconds(300), TimeProvider.System, token);
                await connection.RespondAsync(200, "", [], token);
            }
        });
        await using var app = new TestApplication(
            static options =>
            {
                options.LaneBy(static request => request.RequestUri!.AbsolutePath);
                options.AttemptTimeout = TimeSpan.FromSeconds(1);
                options.IdempotencyKeyHeader = null;
                options.Replay.MaxConcurrentLanes = 16;
            },
            primary: static () => new SocketsHttpHandler { MaxConnectionsPerServer = 1 });
        for (var i = 0; i < 16; i++)
        {
            await app.Queue.PushAsync(new HttpRequestMessage(HttpMethod.Post, new Uri(server.Uri, $"{i}"))
            {
                Content = new StringContent("one order"),
            });
        }

        var summary = await app.Queue.ReplayAsync(TimeSpan.FromSeconds(60));

        Assert.Equal((16, 0), (summary.Delivered, summary.DeadLettered));
        Assert.Equal(16, server.Requests.Count);
    }

    [Fact]
    public async Task Server_that_works_on_one_request_at_a_time_is_not_buried()
    {
        var worker = new SemaphoreSlim(1, 1);
        await using var server = new RawServer(async (connection, token) =>
        {
            while (true)
            {
                await connection.ReadRequestAsync(token);
                await worker.WaitAsync(token);
                try
                {
                    // Work that goes on although nobody waits for it any more.
                    await Task.Delay(TimeSpan.FromMilliseconds(300), TimeProvider.System, CancellationToken.None);
                }
                finally
                {
                    worker.Release();
                }

                await connection.RespondAsync(200, "", [], token);
            }
        });
        await using var app = new TestApplication(static options =>
        {
            options.LaneBy(static request => request.RequestUri!.AbsolutePath);
            options.AttemptTimeout = TimeSpan.FromSeconds(1);
            options.Retry.MinBackoff = TimeSpan.FromMilliseconds(100);
        });
        for (var i = 0; i < 16; i++)
        {
            await app.Queue.PushAsync(new HttpRequestMessage(HttpMethod.Put, new Uri(server.Uri, $"{i}"))
            {
                Content = new StringContent("one order"),
            });
        }

        await app.Sync.StartAsync();
        await Eventually.TrueAsync(
            () => app.Queue.CountAsync().AsTask().GetAwaiter().GetResult().Pending == 0, TimeSpan.FromSeconds(60), () => "all arrived");

        // One request each, and those that met the limit while it was found; all lanes at once made four of each.
        Assert.InRange(server.Requests.Count, 16, 32);
    }

    [Fact]
    public async Task Dead_HTTP2_connection_is_left_after_a_time_out()
    {
        var isFrozen = false;
        var connections = 0;
        await using var server = new RawServer(async (connection, token) =>
        {
            var number = Interlocked.Increment(ref connections);
            var http2 = await connection.StartHttp2Async(token);
            while (true)
            {
                await http2.ReadRequestAsync(token);
                if (!(Volatile.Read(ref isFrozen) && number == 1))
                {
                    await http2.RespondAsync(200, "", [], token);
                }
            }
        });
        await using var app = new TestApplication(static options =>
        {
            options.AttemptTimeout = TimeSpan.FromMilliseconds(500);
            options.Retry.MinBackoff = TimeSpan.FromMilliseconds(50);
        });
        HttpRequestMessage Put() => new(HttpMethod.Put, server.Uri)
        {
            Content = new StringContent("one order"),
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        (await app.Client.SendAsync(Put())).Dispose();
        isFrozen = true;
        for (var i = 0; i < 5; i++)
        {
            await app.Queue.PushAsync(Put());
        }

        await app.Sync.StartAsync();

        await Eventually.TrueAsync(
            () => app.Queue.CountAsync().AsTask().GetAwaiter().GetResult().Pending == 0, "all arrived over other connections");
        Assert.Equal(1, app.Logs.Lines.Count(static line => line.EventId == 2004));
    }
}
