using System.IO.Compression;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Handler;

/// <summary>Handlers inside may do with the content what they like: the body that is queued is the caller's.</summary>
public sealed class SpoiledContentTests
{
    private static readonly byte[] _body = TestBytes.Random(300_000);

    public static TheoryData<string, string> Spoilt =>
        [.. from how in new[] { "dispose", "null", "replace", "consume", "gzip", "request" } from kind in _kinds.Keys select (how, kind)];

    private static readonly Dictionary<string, Func<HttpContent>> _kinds = new()
    {
        ["text"] = static () => new StringContent(Convert.ToBase64String(_body)),
        ["bytes"] = static () => new ByteArrayContent(_body),
        ["seekable stream"] = static () => new StreamContent(new MemoryStream(_body)),
        ["stream"] = static () => new StreamContent(new OneShotStream(_body)),
        ["own"] = static () => new PushContent(_body),
    };

    [Theory]
    [MemberData(nameof(Spoilt))]
    public async Task A_body_that_a_handler_inside_has_spoilt_is_queued_as_the_caller_gave_it(string how, string kind)
    {
        await using var app = new TestApplication(primary: () => new StubHandler(async request =>
        {
            var content = request.Content!;
            switch (how)
            {
                case "dispose":
                    await content.ReadAsByteArrayAsync();
                    content.Dispose();
                    break;
                case "null":
                    request.Content = null;
                    break;
                case "replace":
                    request.Content = new ByteArrayContent(SHA256.HashData(await content.ReadAsByteArrayAsync()));
                    content.Dispose();
                    break;
                case "consume":
                    await (await content.ReadAsStreamAsync()).CopyToAsync(Stream.Null);
                    break;
                case "gzip":
                    using (content)
                    {
                        var zipped = new MemoryStream();
                        await using (var gzip = new GZipStream(zipped, CompressionLevel.Fastest, leaveOpen: true))
                        {
                            await content.CopyToAsync(gzip);
                        }

                        request.Content = new ByteArrayContent(zipped.ToArray());
                    }

                    break;
                default:
                    request.Dispose();
                    break;
            }

            throw new HttpRequestException(HttpRequestError.ConnectionError, "refused", new SocketException(111));
        }));
        var expected = kind == "text" ? Encoding.UTF8.GetBytes(Convert.ToBase64String(_body)) : _body;

        var queued = await Assert.ThrowsAsync<RequestQueuedException>(() => app.Client.PostAsync("http://api.test/", _kinds[kind]()));

        Assert.Equal(expected, await app.BodyOfAsync(queued.EntryId));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task The_callers_content_is_disposed_of_when_a_handler_inside_has_done_so_but_not_before_the_end(bool isDisposed)
    {
        var stream = new WatchedStream();
        var wasDisposed = true;
        await using var app = new TestApplication(primary: () => new StubHandler(request =>
        {
            if (isDisposed)
            {
                request.Content!.Dispose();
            }

            wasDisposed = stream.IsDisposed;
            return Task.FromResult(new HttpResponseMessage(HttpStatusCode.OK));
        }));
        using var content = new StreamContent(stream);
        using var request = new HttpRequestMessage(HttpMethod.Post, "http://api.test/") { Content = content };

        using var response = await app.Client.SendAsync(request);

        Assert.False(wasDisposed);
        Assert.Equal(isDisposed, stream.IsDisposed);
        Assert.Same(content, request.Content);
        request.Dispose();
        Assert.True(stream.IsDisposed);
    }

    [Fact]
    public async Task Content_that_a_handler_inside_wraps_is_disposed_of_with_the_request()
    {
        var stream = new WatchedStream();
        await using var app = new TestApplication(primary: () => new StubHandler(request =>
        {
            request.Content = new MultipartContent { request.Content! };
            return Task.FromResult(new HttpResponseMessage(HttpStatusCode.OK));
        }));
        using var request = new HttpRequestMessage(HttpMethod.Post, "http://api.test/") { Content = new StreamContent(stream) };

        using var response = await app.Client.SendAsync(request);
        Assert.False(stream.IsDisposed);
        request.Dispose();

        Assert.True(stream.IsDisposed);
    }

    [Fact]
    public async Task Content_headers_that_a_handler_inside_changes_are_not_queued()
    {
        await using var app = new TestApplication(primary: () => new StubHandler(request =>
        {
            request.Content!.Headers.Add("X-Signature", "1");
            request.Content.Headers.ContentType!.CharSet = "latin1";
            throw new HttpRequestException(HttpRequestError.ConnectionError);
        }));
        using var content = new StringContent("order");
        content.Headers.Add("Content-Language", ["pl", "en"]);

        await Assert.ThrowsAsync<RequestQueuedException>(() => app.Client.PostAsync("http://api.test/", content));

        Assert.Equal(
            [new("Content-Type", "text/plain; charset=utf-8"), new("Content-Language", "pl"), new("Content-Language", "en")],
            Assert.Single(await app.EntriesAsync()).Request.ContentHeaders);
    }

    private sealed class WatchedStream : MemoryStream
    {
        public bool IsDisposed { get; private set; }

        protected override void Dispose(bool disposing)
        {
            IsDisposed = true;
            base.Dispose(disposing);
        }
    }
}
