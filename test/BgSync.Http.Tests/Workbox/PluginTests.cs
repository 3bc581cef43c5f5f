using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Workbox;

/// <summary>workbox-background-sync/sw/test-BackgroundSyncPlugin.mjs. The plugin is the handler here.</summary>
public sealed class PluginTests : WorkboxFixture
{
    [Fact]
    public async Task No_33_A_request_that_fails_is_added_to_the_queue()
    {
        await using var app = Open();
        var uri = new Uri($"http://127.0.0.1:{RawServer.RefusedPort()}/orders");

        var queued = await Assert.ThrowsAsync<RequestQueuedException>(() => app.Client.PostAsync(uri, new StringContent("two apples")));

        var entry = Assert.Single(await app.EntriesAsync());
        Assert.Equal((queued.EntryId, HttpMethod.Post, uri), (entry.Id, entry.Request.Method, entry.Request.Uri));
        Assert.Equal("two apples", await TextAsync(app.Queue, entry.Id));
        Assert.Empty(await PathsAsync(Other(app)));
    }
}
