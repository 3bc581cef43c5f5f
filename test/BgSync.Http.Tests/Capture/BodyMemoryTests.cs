using System.Net;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Capture;

/// <summary>Memory stays flat, whatever the size of a body.</summary>
[Collection(nameof(Alone))]
public sealed class BodyMemoryTests
{
    private const int MiB = 1024 * 1024;
    private const int Length = 256 * MiB;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_body_of_256_MiB_is_sent_copied_queued_and_replayed_in_less_than_64_MiB(bool writeAhead)
    {
        var bodies = new List<string>();
        await using var server = await StartServerAsync(bodies);
        await using var app = new TestApplication(sync =>
        {
            sync.WriteAhead = writeAhead;
            sync.QueuedStatuses.Add(HttpStatusCode.ServiceUnavailable);
        });
        var allocated = GC.GetTotalAllocatedBytes();

        await Assert.ThrowsAsync<RequestQueuedException>(
            () => app.Client.PostAsync(server.Urls.Single(), new PushContent(WriteAsync)));
        var summary = await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.InRange(GC.GetTotalAllocatedBytes() - allocated, 0, 64 * MiB);
        Assert.Equal((1, 0), (summary.Delivered, summary.Remaining));
        Assert.Equal(2, bodies.Count);
        Assert.Single(bodies.Distinct());
    }

    /// <summary>Reads bodies of any size; is busy the first time.</summary>
    private static async Task<WebApplication> StartServerAsync(List<string> bodies)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0").ConfigureKestrel(kestrel => kestrel.Limits.MaxRequestBodySize = null);
        var server = builder.Build();
        server.Run(async context =>
        {
            bodies.Add(Convert.ToHexString(await SHA256.HashDataAsync(context.Request.Body)));
            context.Response.StatusCode = bodies.Count == 1 ? StatusCodes.Status503ServiceUnavailable : StatusCodes.Status200OK;
        });
        await server.StartAsync();
        return server;
    }

    /// <summary>A body that is never in memory as a whole, and of which no part is like another.</summary>
    private static async Task WriteAsync(Stream stream, CancellationToken cancellationToken)
    {
        var random = new Random(1);
        var part = new byte[64 * 1024];
        for (var written = 0; written < Length; written += part.Length)
        {
            random.NextBytes(part);
            await stream.WriteAsync(part, cancellationToken);
        }
    }
}
