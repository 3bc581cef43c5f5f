using System.Text;
using BgSync.Http.Tests.Replay;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Handler;

/// <summary>A form with a token is written down only where a route names it.</summary>
public sealed class SecretFormTests : ReplayFixture
{
    private const string Form = "grant_type=refresh_token&refresh_token=8xLOxBtZp8";

    private static readonly Uri _dead = new($"http://127.0.0.1:{RawServer.RefusedPort()}/connect/token");

    [Fact]
    public async Task Form_with_a_refresh_token_is_not_queued_and_the_reason_is_told()
    {
        using var directory = new TempDirectory();
        await using (var app = Create(directory: directory))
        {
            var failure = await Assert.ThrowsAsync<HttpRequestException>(() => RefreshAsync(app));

            Assert.Equal(HttpRequestError.ConnectionError, failure.HttpRequestError);
            Assert.Contains("refresh_token", failure.GetNotQueuedReason(), StringComparison.Ordinal);
            Assert.Empty(await app.EntriesAsync());
        }

        Assert.All(
            Directory.GetFiles(directory.Path),
            static file => Assert.DoesNotContain("8xLOxBtZp8", File.ReadAllText(file, Encoding.Latin1), StringComparison.Ordinal));
    }

    [Fact]
    public async Task Form_with_a_refresh_token_is_queued_on_a_named_route()
    {
        await using var app = Create(static sync => sync.Routes.Add(HttpMethod.Post, "/connect/token"));

        var queued = await Assert.ThrowsAsync<RequestQueuedException>(() => RefreshAsync(app));

        Assert.Equal(Form, Encoding.UTF8.GetString(await app.BodyOfAsync(queued.EntryId)));
    }

    private static Task<HttpResponseMessage> RefreshAsync(TestApplication app) => app.Client.PostAsync(
        _dead, new StringContent(Form, Encoding.UTF8, "application/x-www-form-urlencoded"));
}
