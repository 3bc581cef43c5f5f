using Microsoft.Extensions.DependencyInjection;
using TestKit;
using Xunit;

namespace BgSync.Http.LiteDB.Tests.Integration;

/// <summary>From a client that cannot reach its server to the server, through a LiteDB file and a restart.</summary>
public sealed class EndToEndTests : IDisposable
{
    private readonly TempDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task What_could_not_be_sent_is_sent_once_after_a_restart()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await server.StopAsync();
        var large = new byte[600 * 1024];
        Random.Shared.NextBytes(large);
        await using (var application = Start())
        {
            Assert.IsType<LiteDBQueueStore>(application.Store);
            await QueueAsync(application, new Uri(server.Uri, "small"), "hello"u8.ToArray());
            await QueueAsync(application, new Uri(server.Uri, "large"), large);
            await application.Sync.ReplayAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
            Assert.Equal(2, (await application.Queue.CountAsync(TestContext.Current.CancellationToken)).Pending);
        }

        server.Start();
        await using (var application = Start())
        {
            await application.Sync.ReplayAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
            Assert.Equal(0, (await application.Queue.CountAsync(TestContext.Current.CancellationToken)).Pending);
        }

        Assert.Equal(["/small", "/large"], server.Requests.Select(static request => request.Target));
        Assert.Equal("hello", server.Requests[0].Text);
        Assert.Equal(large, server.Requests[1].Body.ToArray());
        Assert.Equal(2, server.Requests.SelectMany(static request => request.ValuesOf("Idempotency-Key")).Distinct().Count());
    }

    private TestApplication Start() => new(
        directory: _directory, services: services => services.AddBackgroundSyncLiteDB(_directory.File("queues.lite.db")));

    private static async Task QueueAsync(TestApplication application, Uri uri, byte[] body)
    {
        using var content = new ByteArrayContent(body);
        await Assert.ThrowsAsync<RequestQueuedException>(
            () => application.Client.PostAsync(uri, content, TestContext.Current.CancellationToken));
    }
}
