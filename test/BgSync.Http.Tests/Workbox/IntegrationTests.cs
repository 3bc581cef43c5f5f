using System.Collections.Concurrent;
using System.Net;
using BgSync.Tool.Demo;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Workbox;

/// <summary>workbox-background-sync/integration/test-all.js: from end to end, against Kestrel, in real time.</summary>
public sealed class IntegrationTests
{
    [Fact]
    public async Task No_66_A_request_is_answered_at_once_and_arrives_when_the_server_is_there()
    {
        var address = new Uri($"http://127.0.0.1:{ReopenablePort.Pick()}/");
        await using var app = new TestApplication(static sync => sync.UseWorkboxDefaults());
        await app.Sync.StartAsync();

        // The page is told "added" by a route of its own worker, and here by the exception.
        await Assert.ThrowsAsync<RequestQueuedException>(() => app.Client.PostAsync(new Uri(address, "counter"), new StringContent("hit")));

        var hits = new ConcurrentQueue<string>();
        await using var server = Serve(address, hits);
        await server.StartAsync(TestContext.Current.CancellationToken);
        app.Network.Raise(NetworkSignal.Available);

        await Eventually.TrueAsync(() => !hits.IsEmpty, "the server is hit");
        await Eventually.TrueAsync(() => app.Queue.CountAsync().AsTask().GetAwaiter().GetResult().Pending == 0, "the queue is empty");
        Assert.Equal(["hit"], hits);
    }

    private static WebApplication Serve(Uri address, ConcurrentQueue<string> hits)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, address.Port));
        var server = builder.Build();
        server.Run(async context =>
        {
            using var reader = new StreamReader(context.Request.Body);
            hits.Enqueue(await reader.ReadToEndAsync());
            context.Response.StatusCode = StatusCodes.Status201Created;
        });
        return server;
    }
}
