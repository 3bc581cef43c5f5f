using BgSync.Http.Capture;
using BgSync.Http.Outcomes;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Capture;

/// <summary>A body on its way out tells whether it was asked for, and each part that has gone.</summary>
public sealed class ObservedContentTests
{
    private static readonly Func<HttpRequestMessage, HttpContent, RepeatableBody> _live = static (request, content) =>
    {
        request.Content = content;
        return RepeatableBody.Prepare(request, memoryLimit: 1000, maxLength: null, isReadAhead: false, CancellationToken.None);
    };

    public static TheoryData<string, Func<byte[], HttpContent>> Kinds => new()
    {
        { "in memory", bytes => new ByteArrayContent(bytes) },
        { "copied", bytes => new PushContent(bytes) },
        { "stored bytes", bytes => new StoredContent(bytes) },
        { "a stored stream", bytes => new StoredContent(_ => new(new MemoryStream(bytes)), bytes.Length) },
    };

    [Fact]
    public void A_request_without_content_counts_as_asked_for()
    {
        using var request = new HttpRequestMessage();
        var body = RepeatableBody.Prepare(request, memoryLimit: 1000, maxLength: null, isReadAhead: false, CancellationToken.None);
        body.BeginAttempt(new Observer(() => { }));
        Assert.True(body.WasAskedFor);
    }

    [Theory]
    [MemberData(nameof(Kinds), DisableDiscoveryEnumeration = true)]
    public async Task A_body_was_asked_for_once_the_transport_has_begun_to_read_it(string kind, Func<byte[], HttpContent> create)
    {
        foreach (var read in (Func<HttpContent, Task>[])
            [
                content => content.CopyToAsync(Stream.Null),
                content => Task.Run(() => content.CopyTo(Stream.Null, null, CancellationToken.None)),
                content => content.ReadAsStreamAsync(),
                content => Task.Run(() => content.ReadAsStream()),
            ])
        {
            using var request = new HttpRequestMessage();
            // A body of no bytes counts as well.
            var (content, wasAskedFor, begin) = Observe(request, create([]));
            Assert.False(wasAskedFor());

            await read(content);
            Assert.True(wasAskedFor());

            begin();
            Assert.False(wasAskedFor());
            await content.CopyToAsync(Stream.Null);
            Assert.True(wasAskedFor());
        }

        Assert.NotEmpty(kind);
    }

    [Theory]
    [MemberData(nameof(Kinds), DisableDiscoveryEnumeration = true)]
    public async Task A_body_that_a_handler_has_buffered_may_have_been_sent_from_there(string kind, Func<byte[], HttpContent> create)
    {
        using var request = new HttpRequestMessage();
        var (content, wasAskedFor, begin) = Observe(request, create([1, 2]));

        await content.ReadAsByteArrayAsync();
        begin();

        Assert.True(wasAskedFor());
        Assert.NotEmpty(kind);
    }

    [Fact]
    public void A_body_that_another_has_taken_the_place_of_counts_as_asked_for()
    {
        using var request = new HttpRequestMessage();
        var body = _live(request, new StringContent("order"));
        Assert.False(body.WasAskedFor);

        request.Content = null;

        Assert.True(body.WasAskedFor);
    }

    [Theory]
    [InlineData("", true)]
    [InlineData("", false)]
    [InlineData("order", true)]
    [InlineData("order", false)]
    public async Task A_real_transport_asks_for_the_body_once_it_is_connected(string text, bool isRefused)
    {
        await using var server = new RawServer(Scripts.CloseAfterRequest());
        using var transport = new HttpMessageInvoker(new SocketsHttpHandler());
        var uri = isRefused ? new Uri($"http://127.0.0.1:{RawServer.RefusedPort()}/") : server.Uri;
        using var request = new HttpRequestMessage(HttpMethod.Post, uri);
        var body = _live(request, new StringContent(text));

        await Assert.ThrowsAsync<HttpRequestException>(() => transport.SendAsync(request, CancellationToken.None));

        Assert.Equal(!isRefused, body.WasAskedFor);
    }

    [Theory]
    [MemberData(nameof(Kinds), DisableDiscoveryEnumeration = true)]
    public async Task Each_part_is_reported_after_it_was_written(string kind, Func<byte[], HttpContent> create)
    {
        var bytes = TestBytes.Random(1024 * 1024);
        foreach (var isAsync in (bool[])[true, false])
        {
            using var request = new HttpRequestMessage();
            using var network = new MemoryStream();
            var (content, _, _) = Observe(request, create(bytes), out var observe);
            var reported = new List<long>();
            observe(new Observer(() => reported.Add(network.Length)));

            if (isAsync)
            {
                await content.CopyToAsync(network);
            }
            else
            {
                content.CopyTo(network, null, CancellationToken.None);
            }

            Assert.Equal(bytes, network.ToArray());
            Assert.InRange(reported.Count, 16, 40);
            Assert.Equal(reported.Distinct().Order(), reported.Distinct());
            Assert.All(reported.Zip(reported.Skip(1)), pair => Assert.InRange(pair.Second - pair.First, 0, 64 * 1024));
            Assert.Equal(bytes.Length, reported[^1]);
        }

        Assert.NotEmpty(kind);
    }

    [Fact]
    public async Task A_small_body_in_memory_is_written_as_it_is_and_reported_once()
    {
        using var request = new HttpRequestMessage();
        var (content, _, _) = Observe(request, new StringContent("order"), out var observe);
        var reports = 0;
        observe(new Observer(() => reports++));
        // The transport asks for it.
        Assert.Equal(5, content.Headers.ContentLength);

        using var network = new MemoryStream();
        await content.CopyToAsync(network);

        Assert.Equal(1, reports);
    }

    [Fact]
    public async Task A_time_out_that_is_over_does_not_end_an_upload()
    {
        using var request = new HttpRequestMessage();
        var (content, _, _) = Observe(request, new PushContent([1, 2, 3]), out var observe);
        using var attempt = new Attempt(TimeSpan.FromMinutes(1), TimeProvider.System, CancellationToken.None);
        observe(attempt);
        attempt.Dispose();

        using var network = new MemoryStream();
        await content.CopyToAsync(network);

        Assert.Equal([1, 2, 3], network.ToArray());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_stored_body_is_opened_anew_for_each_send(bool isAsync)
    {
        var opened = 0;
        using var content = new StoredContent(
            async _ =>
            {
                await Task.Yield();
                opened++;
                return new OneShotStream([1, 2, 3]);
            },
            length: 3);
        for (var i = 1; i <= 2; i++)
        {
            using var network = new MemoryStream();
            if (isAsync)
            {
                await content.CopyToAsync(network);
            }
            else
            {
                content.CopyTo(network, null, CancellationToken.None);
            }

            Assert.Equal([1, 2, 3], network.ToArray());
            Assert.Equal(i, opened);
        }

        Assert.Equal(3, content.Headers.ContentLength);
    }

    [Fact]
    public async Task A_view_of_a_spool_is_read_to_its_end_after_the_spool_was_disposed_of()
    {
        var bytes = TestBytes.Random(100_000);
        foreach (var memoryLimit in (int[])[0, 200_000])
        {
            var spool = new BodySpool(memoryLimit, maxLength: null);
            spool.Write(bytes);
            var view = spool.OpenView();
            var file = spool.File;

            spool.Dispose();

            using var copy = new MemoryStream();
            await view.CopyToAsync(copy);
            Assert.Equal(bytes, copy.ToArray());
            Assert.Throws<ObjectDisposedException>(spool.OpenView);
            Assert.False(file?.SafeFileHandle.IsClosed ?? false);
            await view.DisposeAsync();
            Assert.True(file?.SafeFileHandle.IsClosed ?? true);
            Assert.Throws<ObjectDisposedException>(() => view.ReadByte());
        }
    }

    private static (HttpContent Content, Func<bool> WasAskedFor, Action Begin) Observe(HttpRequestMessage request, HttpContent content) =>
        Observe(request, content, out _);

    private static (HttpContent Content, Func<bool> WasAskedFor, Action Begin) Observe(
        HttpRequestMessage request, HttpContent content, out Action<IProgress<int>> observe)
    {
        if (content is StoredContent stored)
        {
            observe = stored.BeginAttempt;
            return (content, () => stored.WasAskedFor, () => stored.BeginAttempt(new Observer(() => { })));
        }

        var body = _live(request, content);
        observe = observer => body.BeginAttempt(observer);
        return (request.Content!, () => body.WasAskedFor, () => body.BeginAttempt(new Observer(() => { })));
    }

    private sealed class Observer(Action moved) : IProgress<int>
    {
        public void Report(int value) => moved();
    }
}
