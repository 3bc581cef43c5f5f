using System.Collections.Concurrent;
using System.IO.Compression;
using System.Net;
using System.Net.Http.Json;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Capture;

/// <summary>A body is serialised once: the bytes on the wire are those that are queued and replayed, framed as HttpClient alone does.</summary>
public sealed class OneBodyTests
{
    private static readonly Uri _deadUri = new($"http://127.0.0.1:{RawServer.RefusedPort()}/");

    /// <summary>Bodies that are another one each time that they are serialised.</summary>
    public static TheoryData<string, Func<HttpContent>> ChangingBodies => new()
    {
        { "JSON of an object with a sequence inside", () => JsonContent.Create(new { device = 7, events = Drain() }) },
        { "JSON of a list that changes", () => JsonContent.Create(new[] { new Counter() }) },
        { "a stream that changes", () => new StreamContent(new ChangingStream()) },
        { "an application's own", () => Changing() },
        { "a form with such a part", () => new MultipartFormDataContent("b") { { new StreamContent(new ChangingStream()), "f", "n" } } },
        { "a form in a form", () => new MultipartContent("mixed", "b") { new MultipartContent("mixed", "c") { Changing() } } },
        { "a derived text", () => new DerivedText() },
    };

    public static TheoryData<string, Func<HttpContent>> Framings => new()
    {
        { "JSON", () => JsonContent.Create(new { Name = "Łódź" }) },
        { "text", () => new StringContent("order") },
        { "an empty text", () => new StringContent("") },
        { "bytes", () => new ByteArrayContent(TestBytes.Random(200_000)) },
        { "a seekable stream", () => new StreamContent(new MemoryStream(TestBytes.Random(200_000))) },
        { "a stream that is read once", () => new StreamContent(new OneShotStream(TestBytes.Random(200_000))) },
        { "a form", () => new MultipartFormDataContent("b") { { new StreamContent(new MemoryStream([1, 2])), "f", "n" } } },
        { "an application's own", () => new PushContent([1, 2, 3]) },
        { "a length that was given", () => WithLength(new PushContent([1, 2, 3]), 3) },
    };

    [Theory]
    [MemberData(nameof(ChangingBodies), DisableDiscoveryEnumeration = true)]
    public async Task A_body_is_queued_and_replayed_as_it_was_sent(string kind, Func<HttpContent> content)
    {
        await using var server = new RawServer(RawServer.Sequence(Scripts.CloseAfterRequest(), Scripts.Respond(200)));
        await using var app = new TestApplication();

        await Assert.ThrowsAsync<RequestQueuedException>(() => app.Client.PostAsync(server.Uri, content()));
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal(2, server.Requests.Count);
        Assert.Equal(server.Requests[0].Text, server.Requests[1].Text);
        Assert.NotEmpty(kind);
    }

    [Theory]
    [MemberData(nameof(ChangingBodies), DisableDiscoveryEnumeration = true)]
    public async Task An_inner_handler_that_sends_twice_sends_the_same_body(string kind, Func<HttpContent> content)
    {
        await using var server = new RawServer(Scripts.CloseAfterRequest());
        await using var app = new TestApplication(inner: builder => builder.AddHttpMessageHandler(() => new SendingTwice()));

        var queued = await Assert.ThrowsAsync<RequestQueuedException>(() => app.Client.PostAsync(server.Uri, content()));

        Assert.Equal(2, server.Requests.Count);
        Assert.Equal(server.Requests[0].Text, server.Requests[1].Text);
        Assert.Equal(server.Requests[0].Body.ToArray(), await app.BodyOfAsync(queued.EntryId));
        Assert.NotEmpty(kind);
    }

    [Theory]
    [MemberData(nameof(ChangingBodies), DisableDiscoveryEnumeration = true)]
    public async Task With_WriteAhead_the_body_that_was_stored_is_sent(string kind, Func<HttpContent> content)
    {
        await using var server = new RawServer(Scripts.CloseAfterRequest());
        await using var app = new TestApplication(sync => sync.WriteAhead = true);

        var queued = await Assert.ThrowsAsync<RequestQueuedException>(() => app.Client.PostAsync(server.Uri, content()));

        Assert.Equal(Assert.Single(server.Requests).Body.ToArray(), await app.BodyOfAsync(queued.EntryId));
        Assert.NotEmpty(kind);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_sequence_that_can_be_read_once_arrives_whole(bool writeAhead)
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = new TestApplication(sync => sync.WriteAhead = writeAhead);

        using var response = await app.Client.PostAsJsonAsync(server.Uri, new { device = 7, events = Drain() });

        Assert.Equal("""{"device":7,"events":["opened","paid","closed"]}""", Assert.Single(server.Requests).Text);
    }

    [Fact]
    public async Task With_WriteAhead_bytes_that_are_changed_after_they_were_stored_are_sent_as_they_were_stored()
    {
        var bytes = "order 1"u8.ToArray();
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = new TestApplication(
            sync => sync.WriteAhead = true,
            inner: builder => builder.AddHttpMessageHandler(() => new ObservingHandler(_ => bytes[^1] = (byte)'2')));

        using var response = await app.Client.PostAsync(server.Uri, new ByteArrayContent(bytes));

        Assert.Equal("order 1", Assert.Single(server.Requests).Text);
    }

    [Theory]
    [MemberData(nameof(Framings), DisableDiscoveryEnumeration = true)]
    public async Task A_body_is_framed_as_HttpClient_alone_frames_it(string kind, Func<HttpContent> content)
    {
        await using var server = new RawServer(Scripts.Respond(200));
        using var alone = new HttpClient();
        foreach (var isChunked in (bool?[])[null, true])
        {
            foreach (var writeAhead in (bool[])[false, true])
            {
                await using var app = new TestApplication(sync =>
                {
                    sync.WriteAhead = writeAhead;
                    sync.IdempotencyKeyHeader = null;
                });
                foreach (var isAsync in (bool[])[true, false])
                {
                    using var first = await alone.SendAsync(Post(), isAsync);
                    using var second = await app.Client.SendAsync(Post(), isAsync);
                    var (expected, actual) = (server.Requests[^2], server.Requests[^1]);
                    Assert.Equal(WireText.HeadOf(expected), WireText.HeadOf(actual));
                    Assert.Equal(expected.ValuesOf("Content-Length"), actual.ValuesOf("Content-Length"));
                    Assert.Equal(expected.ValuesOf("Transfer-Encoding"), actual.ValuesOf("Transfer-Encoding"));
                    Assert.Equal(expected.Body.Length, actual.Body.Length);
                }
            }

            HttpRequestMessage Post() => new(HttpMethod.Post, server.Uri)
            {
                Content = content(),
                Headers = { TransferEncodingChunked = isChunked },
            };
        }

        Assert.NotEmpty(kind);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(4)]
    public async Task A_length_that_is_wrong_is_the_error_that_it_is_alone_and_nothing_is_queued(long length)
    {
        await using var server = new RawServer(Scripts.NeverAnswer());
        await using var app = new TestApplication();
        using var alone = new HttpClient();
        foreach (var content in (Func<HttpContent>[])[() => new PushContent([1, 2, 3]), () => new StringContent("123")])
        {
            var expected = await Assert.ThrowsAsync<HttpRequestException>(() => alone.PostAsync(server.Uri, WithLength(content(), length)));
            var actual = await Assert.ThrowsAsync<HttpRequestException>(() => app.Client.PostAsync(server.Uri, WithLength(content(), length)));

            Assert.Equal(expected.Message, actual.Message);
            Assert.NotNull(actual.GetNotQueuedReason());
            Assert.Empty(await app.EntriesAsync());
        }

        var offline = await Assert.ThrowsAsync<HttpRequestException>(() => app.Client.PostAsync(_deadUri, WithLength(new StringContent("123"), length)));
        Assert.Contains($"Content-Length says {length}", offline.GetNotQueuedReason(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("FlushAsync")]
    [InlineData("Flush")]
    [InlineData("GZip")]
    [InlineData("StreamWriter")]
    [InlineData("nothing")]
    public async Task A_body_that_is_flushed_after_the_network_has_failed_is_queued_whole(string how)
    {
        await using var server = new RawServer(async (connection, cancellationToken) =>
        {
            await connection.ReadRequestAsync(bodyLimit: 0, cancellationToken);
            connection.Reset();
        });
        await using var app = new TestApplication();
        var written = 0L;
        var content = new PushContent(async (stream, _) =>
        {
            var destination = how switch
            {
                "GZip" => new GZipStream(stream, CompressionLevel.NoCompression, leaveOpen: true),
                _ => stream,
            };
            await using var writer = new StreamWriter(stream, leaveOpen: true) { AutoFlush = how == "StreamWriter" };
            // Until the socket has told that its other end is gone, and on.
            for (var i = 0; i < 100; i++)
            {
                var bytes = TestBytes.Random(100_000);
                if (how == "StreamWriter")
                {
                    await writer.WriteAsync(new string('x', bytes.Length));
                }
                else
                {
                    await destination.WriteAsync(bytes, CancellationToken.None);
                }

                written += bytes.Length;
                if (how == "Flush")
                {
#pragma warning disable CA1849, S6966 // The synchronous one is meant.
                    destination.Flush();
#pragma warning restore CA1849, S6966
                }
                else if (how is "FlushAsync" or "GZip")
                {
                    await destination.FlushAsync(CancellationToken.None);
                }
            }

            if (destination != stream)
            {
                await destination.DisposeAsync();
            }
        });

        var queued = await Assert.ThrowsAsync<RequestQueuedException>(() => app.Client.PostAsync(server.Uri, content));

        var entry = Assert.Single(await app.EntriesAsync());
        Assert.Equal(queued.EntryId, entry.Id);
        Assert.InRange(entry.BodyLength, written, long.MaxValue);
        Assert.Equal(1, content.TimesRead);
    }

    [Fact]
    public async Task A_failed_flush_alone_does_not_end_the_copy()
    {
        var flushes = 0;
        await using var app = new TestApplication(primary: () => new StubHandler(async request =>
        {
            await request.Content!.CopyToAsync(new UnflushableStream(() => flushes++));
            throw new InvalidOperationException("not reached");
        }));
        var content = new PushContent(async (stream, cancellationToken) =>
        {
            await stream.WriteAsync("one "u8.ToArray(), cancellationToken);
            await stream.FlushAsync(cancellationToken);
            await stream.WriteAsync("order"u8.ToArray(), cancellationToken);
            await stream.FlushAsync(cancellationToken);
        });

        var queued = await Assert.ThrowsAsync<RequestQueuedException>(() => app.Client.PostAsync("http://api.test/", content));

        Assert.Equal("one order"u8.ToArray(), await app.BodyOfAsync(queued.EntryId));
        Assert.Equal(1, flushes);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_body_that_fails_half_way_fails_as_alone_and_is_not_queued(bool isAsync)
    {
        await using var server = new RawServer(Scripts.NeverAnswer());
        await using var app = new TestApplication();
        using var alone = new HttpClient();
        HttpRequestMessage Post() => new(HttpMethod.Post, server.Uri)
        {
            Content = new StreamContent(new OneShotStream(TestBytes.Random(200_000), failAt: 100_000)),
        };

        var expected = await Assert.ThrowsAsync<HttpRequestException>(() => alone.SendAsync(Post(), isAsync));
        var actual = await Assert.ThrowsAsync<HttpRequestException>(() => app.Client.SendAsync(Post(), isAsync));

        Assert.Equal(Chain(expected), Chain(actual));
        Assert.NotNull(actual.GetNotQueuedReason());
        Assert.Empty(await app.EntriesAsync());

        static string Chain(Exception? failure) =>
            failure is null ? "" : $"{failure.GetType().Name}: {failure.Message}\n{Chain(failure.InnerException)}";
    }

    [Fact]
    public async Task A_body_that_fails_after_the_network_leaves_the_caller_with_the_failure_of_the_network()
    {
        await using var app = new TestApplication(primary: () => new StubHandler(async request =>
        {
            await request.Content!.CopyToAsync(new UnflushableStream(() => { }));
            throw new InvalidOperationException("not reached");
        }));
        var content = new PushContent(async (stream, cancellationToken) =>
        {
            await stream.WriteAsync("one "u8.ToArray(), cancellationToken);
            await stream.FlushAsync(cancellationToken);
            throw new InvalidDataException("The file is damaged.");
        });

        var failure = await Assert.ThrowsAsync<HttpRequestException>(() => app.Client.PostAsync("http://api.test/", content));

        Assert.Equal(UnflushableStream.Message, failure.GetBaseException().Message);
        Assert.Contains("The file is damaged.", failure.GetNotQueuedReason(), StringComparison.Ordinal);
        Assert.Empty(await app.EntriesAsync());
    }

    [Fact]
    public async Task A_body_that_is_sent_from_its_copy_is_sent_to_the_end_though_the_answer_came_before()
    {
        var body = TestBytes.Random(1024 * 1024);
        await using var network = new StalledNetwork();
        Task? sending = null;
        // It answers before it has read the body, and reads on as a transport does.
        await using var app = new TestApplication(sync => sync.WriteAhead = true, primary: () => new StubHandler(request =>
        {
            sending = request.Content!.CopyToAsync(network);
            return Task.FromResult(new HttpResponseMessage(HttpStatusCode.OK));
        }));

        using var response = await app.Client.PostAsync("http://api.test/", new StreamContent(new OneShotStream(body)));
        network.GoOn();
        await sending!;

        Assert.Equal(body, network.ToArray());
    }

    private static IEnumerable<string> Drain()
    {
        var events = new ConcurrentQueue<string>(["opened", "paid", "closed"]);
        return Events();

        IEnumerable<string> Events()
        {
            while (events.TryDequeue(out var next))
            {
                yield return next;
            }
        }
    }

    private static PushContent Changing()
    {
        var times = 0;
        return new((stream, cancellationToken) =>
            stream.WriteAsync(Encoding.UTF8.GetBytes($"time {++times}"), cancellationToken).AsTask());
    }

    private static HttpContent WithLength(HttpContent content, long length)
    {
        content.Headers.ContentLength = length;
        return content;
    }

    private sealed class Counter
    {
        private int _times;

        public int Times => ++_times;
    }

    private sealed class DerivedText() : StringContent("")
    {
        private int _times;

        protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken) =>
            stream.WriteAsync(Encoding.UTF8.GetBytes($"{++_times}"), cancellationToken).AsTask();

        protected override bool TryComputeLength(out long length)
        {
            length = 1;
            return true;
        }
    }

    /// <summary>A file that is written to while it is read: it has other bytes each time, and the same length.</summary>
    private sealed class ChangingStream : Stream
    {
        private int _times;
        private long _position;

        public override bool CanRead => true;

        public override bool CanSeek => true;

        public override bool CanWrite => false;

        public override long Length => 100;

        public override long Position
        {
            get => _position;
            set => _position = value;
        }

        public override int Read(byte[] buffer, int offset, int count)
        {
            var read = (int)Math.Min(count, Length - _position);
            buffer.AsSpan(offset, read).Fill((byte)('a' + _times));
            _position += read;
            _times += read > 0 ? 1 : 0;
            return read;
        }

        public override long Seek(long offset, SeekOrigin origin) =>
            _position = offset + (origin == SeekOrigin.Begin ? 0 : origin == SeekOrigin.End ? Length : _position);

        public override void Flush()
        {
        }

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }

    private sealed class SendingTwice : DelegatingHandler
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

    /// <summary>A network that takes bytes, and fails when it is flushed.</summary>
    private sealed class UnflushableStream(Action flushed) : MemoryStream
    {
        public const string Message = "The cable was cut.";

        public override Task FlushAsync(CancellationToken cancellationToken)
        {
            flushed();
            return Task.FromException(new HttpRequestException(HttpRequestError.ConnectionError, Message));
        }
    }

    /// <summary>A network that takes nothing until it goes on.</summary>
    private sealed class StalledNetwork : MemoryStream
    {
        private readonly TaskCompletionSource _goesOn = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public void GoOn() => _goesOn.SetResult();

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            await _goesOn.Task;
            await base.WriteAsync(buffer, cancellationToken);
        }
    }
}
