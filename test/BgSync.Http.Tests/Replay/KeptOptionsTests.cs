using Microsoft.Extensions.DependencyInjection;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Replay;

/// <summary>Options of a request that <see cref="BackgroundSyncCaptureOptions.Options"/> names reach the handlers inside again.</summary>
public sealed class KeptOptionsTests : ReplayFixture
{
    private static readonly HttpRequestOptionsKey<string> _tenant = new("tenant");
    private static readonly HttpRequestOptionsKey<string> _trace = new("trace");

    [Fact]
    public async Task Handler_inside_finds_a_kept_option_when_the_entry_is_sent_after_a_restart()
    {
        using var directory = new TempDirectory();
        await using var server = new RawServer(Scripts.Respond(200));
        await server.StopAsync();
        await using (var before = Create(Keep, directory))
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, server.Uri);
            request.Options.Set(_tenant, "acme");
            request.Options.Set(_trace, "not kept");
            await Assert.ThrowsAsync<RequestQueuedException>(() => before.Client.SendAsync(request));
        }

        server.Start();
        List<string?> seen = [];
        await using var after = Create(
            Keep,
            directory,
            inner: builder => builder.AddHttpMessageHandler(() => new ObservingHandler(request =>
            {
                seen.Add(request.Options.TryGetValue(_tenant, out var tenant) ? tenant : null);
                seen.Add(request.Options.TryGetValue(_trace, out var trace) ? trace : null);
            })));
        await after.Sync.StartAsync();
        await AdvanceUntilAsync(() => server.Requests.Count == 1, "the entry is sent");

        await EmptyAsync(after);
        Assert.Equal(["acme", null], seen);
    }

    private static void Keep(BackgroundSyncOptions sync) => sync.Capture.Options.Add("tenant");
}
