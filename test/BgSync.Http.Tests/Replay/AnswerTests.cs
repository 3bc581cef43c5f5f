using System.Net;
using System.Net.Http.Headers;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Replay;

/// <summary>The answers of servers to replays, over real connections where the connection matters.</summary>
public sealed class AnswerTests
{
    private static readonly Uri _somewhere = new("http://api.test/orders");

    [Theory]
    [InlineData(301, false)]
    [InlineData(302, false)]
    [InlineData(303, false)]
    [InlineData(302, true)]
    [InlineData(307, true)]
    [InlineData(308, true)]
    public async Task Redirect_that_changes_method_or_origin_is_no_delivery_and_names_the_target(int status, bool toOtherOrigin)
    {
        await using var other = new RawServer(Scripts.Respond(200, "<html>Please sign in</html>"));
        Uri? target = null;
        await using var server = new RawServer(async (connection, token) =>
        {
            while (true)
            {
                var isOrder = (await connection.ReadRequestAsync(token)).Target == "/orders";
                await connection.RespondAsync(
                    isOrder ? status : 200, isOrder ? "" : "<html>Please sign in</html>", [("Location", target!.AbsoluteUri)], token);
            }
        });
        target = new Uri(toOtherOrigin ? other.Uri : server.Uri, "login");
        await using var app = new TestApplication();
        await app.Queue.PushAsync(Post(new Uri(server.Uri, "orders")));

        var summary = await app.Queue.ReplayAsync(TimeSpan.FromSeconds(20));

        Assert.Equal((0, 0, 1), (summary.Delivered, summary.DeadLettered, summary.Remaining));
        Assert.Contains(target.AbsoluteUri, Assert.Single(await app.EntriesAsync()).LastError, StringComparison.Ordinal);
        Assert.Null(await app.Queue.GetPauseAsync());
    }

    [Theory]
    [InlineData(307)]
    [InlineData(308)]
    public async Task Redirect_that_keeps_method_and_origin_is_a_delivery(int status)
    {
        Uri? target = null;
        await using var server = new RawServer(async (connection, token) =>
        {
            while (true)
            {
                var isOrder = (await connection.ReadRequestAsync(token)).Target == "/orders";
                await connection.RespondAsync(isOrder ? status : 201, "", [("Location", target!.AbsoluteUri)], token);
            }
        });
        target = new Uri(server.Uri, "v2/orders");
        await using var app = new TestApplication();
        await app.Queue.PushAsync(Post(new Uri(server.Uri, "orders")));

        Assert.Equal(1, (await app.Queue.ReplayAsync(TimeSpan.FromSeconds(20))).Delivered);
    }

    [Theory]
    [InlineData(301)]
    [InlineData(302)]
    [InlineData(307)]
    public async Task Redirect_that_is_not_followed_keeps_the_entries(int status)
    {
        await using var server = new RawServer(Scripts.Redirect(status, new Uri("https://portal.test/")));
        await using var app = new TestApplication(primary: static () => new SocketsHttpHandler { AllowAutoRedirect = false });
        for (var i = 0; i < 20; i++)
        {
            await app.Queue.PushAsync(Post(server.Uri));
        }

        var summary = await app.Queue.ReplayAsync(TimeSpan.FromSeconds(20));

        Assert.Equal((0, 20), (summary.DeadLettered, summary.Remaining));
        Assert.Single(server.Requests);
    }

    [Fact]
    public async Task Handler_inside_that_rewrites_the_address_is_no_redirect()
    {
        await using var server = new RawServer(Scripts.Respond(201));
        await using var app = new TestApplication(inner: builder => builder.AddHttpMessageHandler(() => new Rewriting(server.Uri)));
        await app.Queue.PushAsync(Post());

        Assert.Equal(1, (await app.Queue.ReplayAsync(TimeSpan.FromSeconds(20))).Delivered);
    }

    [Fact]
    public async Task Status_401_holds_its_origin_only_and_no_pause_is_stored()
    {
        await using var bad = new RawServer(Scripts.Respond(401));
        await using var good = new RawServer(Scripts.Respond(200));
        await using var app = new TestApplication(options => options.LaneBy(static request => request.RequestUri!.Authority));
        await app.Queue.PushAsync(Post(bad.Uri));
        await app.Sync.StartAsync();
        await Eventually.TrueAsync(() => bad.Requests.Count > 0, "the first origin was asked");

        await app.Queue.PushAsync(Post(good.Uri));

        await Eventually.TrueAsync(() => good.Requests.Count == 1, "the other origin was asked");
        Assert.Null(await app.Queue.GetPauseAsync());
        Assert.Contains(app.Logs.Lines, static line => line.Message.Contains("401", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("restart")]
    [InlineData("network")]
    [InlineData("live")]
    [InlineData("manual")]
    [InlineData("backoff")]
    public async Task Status_401_is_asked_for_again(string how)
    {
        using var directory = new TempDirectory();
        var clock = new TestClock();
        var isGood = false;
        var attempts = 0;
        TestApplication Start() => new(
            primary: () => new StubHandler(request =>
            {
                Interlocked.Increment(ref attempts);
                return Task.FromResult(new HttpResponseMessage(
                    isGood || request.Method == HttpMethod.Get ? HttpStatusCode.OK : HttpStatusCode.Unauthorized));
            }),
            clock: clock,
            directory: directory);
        var app = Start();
        await app.Queue.PushAsync(Post());
        var held = app.Queue.UntilAsync(EntryEventKind.Held);
        await app.Sync.StartAsync();
        await held;
        isGood = true;
        switch (how)
        {
            case "restart":
                await app.DisposeAsync();
                app = Start();
                await app.Sync.StartAsync();
                break;
            case "network":
                app.Network.Raise(NetworkSignal.Available);
                break;
            case "live":
                // Watched or not: what the routes match reports.
                (await app.Client.PutAsync(_somewhere, null)).Dispose();
                break;
            case "manual":
                await app.Queue.ReplayAsync(TimeSpan.FromSeconds(10));
                break;
        }

        await Eventually.TrueAsync(
            () =>
            {
                if (how == "backoff")
                {
                    clock.Advance(TimeSpan.FromSeconds(1));
                }

                return app.Queue.CountAsync().AsTask().GetAwaiter().GetResult().Pending == 0;
            },
            "the entry was delivered");
        await app.DisposeAsync();
    }

    [Fact]
    public async Task Conflict_is_the_servers_answer_after_five_times()
    {
        var conflicts = 0;
        await using var app = new TestApplication(
            Hasty,
            primary: () => new StubHandler(request => Task.FromResult(new HttpResponseMessage(
                request.RequestUri!.AbsolutePath == "/users" && Interlocked.Increment(ref conflicts) > 0
                    ? HttpStatusCode.Conflict : HttpStatusCode.OK))));
        await app.Queue.PushAsync(Post(new Uri("http://api.test/users")));
        await app.Queue.PushAsync(Post());
        await app.Sync.StartAsync();

        await EmptyAsync(app);

        Assert.Equal(5, conflicts);
        Assert.Equal(DeadLetterCause.Rejected, Assert.Single(await app.DeadLettersAsync()).Cause);
    }

    [Theory]
    [InlineData("Idempotent-Replayed", "true")]
    [InlineData("Idempotent-Replay", "1")]
    [InlineData("idempotency-replayed", "TRUE")]
    [InlineData("X-Idempotency-Replayed", "yes")]
    public async Task Stored_500_is_not_asked_for_again_under_its_key(string header, string value)
    {
        var keys = new List<string>();
        await using var app = new TestApplication(
            Hasty,
            primary: () => new StubHandler(request =>
            {
                var key = request.Headers.GetValues("Idempotency-Key").Single();
                var response = new HttpResponseMessage(HttpStatusCode.InternalServerError);
                if (keys.Contains(key))
                {
                    response.Headers.Add(header, value);
                }

                keys.Add(key);
                return Task.FromResult(response);
            }));
        await app.Queue.PushAsync(Post());
        await app.Sync.StartAsync();

        await EmptyAsync(app);

        Assert.Equal(2, keys.Count);
        Assert.Equal(DeadLetterCause.Rejected, Assert.Single(await app.DeadLettersAsync()).Cause);
    }

    [Fact]
    public async Task Status_417_is_answered_by_sending_without_Expect_for_good()
    {
        var expected = 0;
        var sent = 0;
        await using var app = new TestApplication(primary: () => new StubHandler(request =>
        {
            sent++;
            expected += request.Headers.ExpectContinue == true ? 1 : 0;
            return Task.FromResult(new HttpResponseMessage(
                request.Headers.ExpectContinue == true ? HttpStatusCode.ExpectationFailed : HttpStatusCode.OK));
        }));
        for (var i = 0; i < 3; i++)
        {
            await app.Queue.PushAsync(new HttpRequestMessage(HttpMethod.Put, _somewhere)
            {
                Content = new ByteArrayContent(new byte[2 * 1024 * 1024]),
            });
        }

        var summary = await app.Queue.ReplayAsync(TimeSpan.FromSeconds(20));

        Assert.Equal((3, 0), (summary.Delivered, summary.DeadLettered));
        Assert.Equal((1, 4), (expected, sent));
    }

    [Theory]
    [InlineData(404)]
    [InlineData(403)]
    public async Task Server_that_rejects_everything_for_a_while_buries_ten_entries_at_most(int status)
    {
        var isBroken = true;
        var clock = new TestClock();
        await using var app = new TestApplication(
            primary: () => new StubHandler(_ =>
                Task.FromResult(new HttpResponseMessage(isBroken ? (HttpStatusCode)status : HttpStatusCode.OK))),
            clock: clock);
        for (var i = 0; i < 50; i++)
        {
            await app.Queue.PushAsync(Post());
        }

        var held = app.Queue.UntilAsync(EntryEventKind.Held);
        await app.Sync.StartAsync();
        await held;
        Assert.Equal(10, (await app.Queue.CountAsync()).DeadLettered);

        isBroken = false;
        await Eventually.TrueAsync(
            () =>
            {
                clock.Advance(TimeSpan.FromSeconds(1));
                return app.Queue.CountAsync().AsTask().GetAwaiter().GetResult().Pending == 0;
            },
            "the others were delivered");
        Assert.Equal(10, (await app.Queue.CountAsync()).DeadLettered);
    }

    [Fact]
    public async Task Retry_After_of_one_lane_holds_the_origin()
    {
        var sent = 0;
        var clock = new TestClock();
        await using var app = new TestApplication(
            options => options.LaneBy(static request => request.RequestUri!.AbsolutePath),
            primary: () => new StubHandler(_ =>
            {
                Interlocked.Increment(ref sent);
                var response = new HttpResponseMessage(HttpStatusCode.TooManyRequests);
                response.Headers.RetryAfter = new RetryConditionHeaderValue(TimeSpan.FromSeconds(10));
                return Task.FromResult(response);
            }),
            clock: clock);
        for (var i = 0; i < 50; i++)
        {
            await app.Queue.PushAsync(Post(new Uri($"http://api.test/{i}")));
        }

        await app.Queue.ReplayAsync(TimeSpan.FromSeconds(20));
        Assert.Equal(1, sent);

        clock.Advance(TimeSpan.FromSeconds(10));
        await app.Queue.ReplayAsync(TimeSpan.FromSeconds(20));
        Assert.Equal(2, sent);
    }

    [Theory]
    [InlineData("stall")]
    [InlineData("drip")]
    [InlineData("events")]
    public async Task Body_that_never_ends_holds_no_lane(string how)
    {
        await using var server = new RawServer(async (connection, token) =>
        {
            await connection.ReadRequestAsync(token);
            await connection.WriteAsync(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
                + $"Content-Type: {(how == "events" ? "text/event-stream" : "text/plain")}\r\n\r\n1\r\nx\r\n",
                token);
            while (how != "stall")
            {
                await Task.Delay(TimeSpan.FromMilliseconds(200), TimeProvider.System, token);
                await connection.WriteAsync("1\r\ny\r\n", token);
            }

            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, token);
        });
        await using var app = new TestApplication(static options => options.AttemptTimeout = TimeSpan.FromSeconds(60));
        for (var i = 0; i < 5; i++)
        {
            await app.Queue.PushAsync(Post(server.Uri));
        }

        var summary = await app.Queue.ReplayAsync(TimeSpan.FromSeconds(30));

        Assert.Equal(5, summary.Delivered);
    }

    [Theory]
    [InlineData("stream")]
    [InlineData("string")]
    [InlineData("bytes")]
    public async Task ClassifyResponse_reads_the_body_which_is_whole_for_the_receipt(string how)
    {
        var count = 0;
        await using var app = new TestApplication(
            options =>
            {
                Hasty(options);
                options.ClassifyResponse = async (response, token) =>
                {
                    var text = how switch
                    {
                        "stream" => await new StreamReader(response.Content.ReadAsStream(token)).ReadToEndAsync(token),
                        "string" => await response.Content.ReadAsStringAsync(token),
                        _ => Encoding.UTF8.GetString(await response.Content.ReadAsByteArrayAsync(token)),
                    };
                    return text.Contains("errors", StringComparison.Ordinal) ? ResponseVerdict.Retry : null;
                };
            },
            primary: () => new StubHandler(_ => Task.FromResult(new HttpResponseMessage
            {
                Content = new StringContent(++count < 3 ? "{\"errors\":[]}" : "{\"data\":1}"),
            })));
        var id = await app.Queue.PushAsync(Post());
        await app.Sync.StartAsync();

        await EmptyAsync(app);

        var response = (await app.Queue.GetReceiptAsync(id))!.Response!;
        Assert.Equal((3, "{\"data\":1}", true), (count, Encoding.UTF8.GetString(response.Body.Span), response.IsWhole));
    }

    [Fact]
    public async Task Html_in_answer_to_json_is_warned_of_once()
    {
        await using var app = new TestApplication(primary: () => new StubHandler(_ => Task.FromResult(new HttpResponseMessage
        {
            Content = new StringContent("<html>Welcome to our hotel</html>", Encoding.UTF8, "text/html"),
        })));
        for (var i = 0; i < 3; i++)
        {
            await app.Queue.PushAsync(new HttpRequestMessage(HttpMethod.Post, _somewhere)
            {
                Content = new StringContent("{}", Encoding.UTF8, "application/json"),
            });
        }

        Assert.Equal(3, (await app.Queue.ReplayAsync(TimeSpan.FromSeconds(10))).Delivered);
        Assert.Contains(
            "ExpectContentType", Assert.Single(app.Logs.Lines, static line => line.EventId == 3021).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Change_by_OnReplaying_after_an_unknown_outcome_has_a_key_of_its_own_that_stays()
    {
        var keys = new List<string>();
        await using var app = new TestApplication(
            options =>
            {
                Hasty(options);
                options.OnReplaying = static (context, _) =>
                {
                    context.Request.Content = new StringContent("{\"n\":2}");
                    return Task.CompletedTask;
                };
            },
            primary: () => new StubHandler(request =>
            {
                keys.Add(request.Headers.GetValues("Idempotency-Key").Single());
                return keys.Count < 4 ? throw new HttpRequestException(HttpRequestError.ResponseEnded) : Task.FromResult(new HttpResponseMessage());
            }));
        await app.Queue.PushAsync(Post());
        await app.Sync.StartAsync();

        await EmptyAsync(app);

        Assert.NotEqual(keys[0], keys[1]);
        Assert.Single(keys.Skip(1).Distinct());
    }

    [Fact]
    public async Task Handler_inside_that_knows_that_there_is_no_network_costs_no_attempt()
    {
        await using var app = new TestApplication(
            static options => options.IdempotencyKeyHeader = null,
            inner: static builder => builder.AddHttpMessageHandler(static () => new Offline()));
        for (var i = 0; i < 5; i++)
        {
            await app.Queue.PushAsync(Post());
        }

        var summary = await app.Queue.ReplayAsync(TimeSpan.FromSeconds(10));

        Assert.Equal((0, 0, 5), (summary.Delivered, summary.DeadLettered, summary.Remaining));
        Assert.All(await app.EntriesAsync(), static entry => Assert.Equal(0, entry.Attempts));
    }

    [Theory]
    [InlineData(-100, 10)]
    [InlineData(+100, 10)]
    public void Retry_After_date_counts_from_the_Date_of_the_response(int clockIsWrongBySeconds, int seconds)
    {
        var date = new DateTimeOffset(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);
        using var response = new HttpResponseMessage(HttpStatusCode.ServiceUnavailable);
        response.Headers.Date = date;
        response.Headers.RetryAfter = new RetryConditionHeaderValue(date.AddSeconds(seconds));

        Assert.Equal(
            TimeSpan.FromSeconds(seconds),
            BgSync.Http.Outcomes.Answer.RetryAfterOf(response, date.AddSeconds(clockIsWrongBySeconds), TimeSpan.FromDays(1)));
    }

    private static void Hasty(BackgroundSyncOptions options) =>
        options.Retry.MinBackoff = options.Retry.MaxBackoff = TimeSpan.FromMilliseconds(1);

    private static HttpRequestMessage Post(Uri? uri = null) =>
        new(HttpMethod.Post, uri ?? _somewhere) { Content = new StringContent("one order") };

    private static Task EmptyAsync(TestApplication app) => Eventually.TrueAsync(
        () => app.Queue.CountAsync().AsTask().GetAwaiter().GetResult().Pending == 0, "the queue is empty");

    private sealed class Offline : DelegatingHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
            throw new HttpRequestException("There is no connection to the Internet.");
    }

    private sealed class Rewriting(Uri server) : DelegatingHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            request.RequestUri = new Uri(server, request.RequestUri!.AbsolutePath);
            return base.SendAsync(request, cancellationToken);
        }
    }
}
