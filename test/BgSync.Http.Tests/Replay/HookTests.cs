using System.Collections.Specialized;
using System.Globalization;
using System.Net.Http.Headers;
using System.Web;
using Microsoft.Extensions.DependencyInjection;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Replay;

/// <summary>The hooks of the application: before an entry is sent, with its response, and when it is a dead letter.</summary>
/// <remarks>
/// Those that begin with a number port workbox-google-analytics/sw/test-initialize.mjs (facts/workbox.md, B.7, no. 68), which
/// defines what it means to change a request at replay time.
/// </remarks>
public sealed class HookTests : ReplayFixture
{
    private const string Age = "qt";

    [Fact]
    public async Task No_68_302_a_failed_hit_is_queued_as_it_was_made()
    {
        await using var app = Create(sync => sync.OnReplaying = AddAgeAsync);

        await QueueAsync(app, new($"http://127.0.0.1:{RawServer.RefusedPort()}/collect"), "v=1");

        Assert.Equal("v=1"u8.ToArray(), await app.BodyOfAsync(Assert.Single(await app.EntriesAsync()).Id));
    }

    [Theory]
    [InlineData("v=1", "v=1&qt=3000")]
    [InlineData("v=1&qt=1000", "v=1&qt=4000")]
    public async Task No_68_337_406_the_age_is_added_on_replay_and_adds_to_the_one_that_is_there(string hit, string sent)
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create(sync => sync.OnReplaying = AddAgeAsync);
        await QueueWhileDownAsync(app, server, hit);
        Clock.Advance(TimeSpan.FromSeconds(3));

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal(sent, Assert.Single(server.Requests).Text);
        await EmptyAsync(app);
    }

    [Fact]
    public async Task No_68_337_the_age_of_each_attempt_counts_from_the_request_and_not_from_the_attempt_before()
    {
        await using var server = new RawServer(RawServer.Sequence(Scripts.Respond(503), Scripts.Respond(200)));
        await using var app = Create(sync => sync.OnReplaying = AddAgeAsync);
        await QueueWhileDownAsync(app, server, "v=1");
        Clock.Advance(TimeSpan.FromSeconds(3));
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        Assert.Equal("v=1"u8.ToArray(), await app.BodyOfAsync(Assert.Single(await app.EntriesAsync()).Id));
        Clock.Advance(TimeSpan.FromSeconds(3));

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal(["v=1&qt=3000", "v=1&qt=6000"], server.Requests.Select(request => request.Text));
    }

    [Fact]
    public async Task No_68_466_parameters_are_overridden()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create(sync => sync.OnReplaying = (context, token) =>
            RewriteAsync(context, parameters => (parameters["v"], parameters["cd1"]) = ("2", "offline"), token));
        await QueueWhileDownAsync(app, server, "v=1");

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal("v=2&cd1=offline", Assert.Single(server.Requests).Text);
    }

    [Fact]
    public async Task No_68_532_what_the_filter_drops_is_not_sent_and_the_lane_goes_on()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create(sync => sync.OnReplaying = async (context, token) =>
        {
            if (await context.Request.Content!.ReadAsStringAsync(token) == "private")
            {
                context.Drop("It is private.");
            }
        });
        await QueueWhileDownAsync(app, server, "private", "public");

        var summary = await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal((1, 1, 0), (summary.Delivered, summary.DeadLettered, summary.Remaining));
        Assert.Equal("public", Assert.Single(server.Requests).Text);
        var letter = Assert.Single(await app.DeadLettersAsync());
        Assert.Equal((DeadLetterCause.Dropped, "It is private."), (letter.Cause, letter.Error));
        Assert.Equal("private"u8.ToArray(), await app.BodyOfAsync(letter.Id));
    }

    [Fact]
    public async Task No_68_226_262_a_hit_that_succeeds_is_untouched()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create(sync => sync.OnReplaying = AddAgeAsync);

        using var response = await app.Client.PostAsync(server.Uri, new StringContent("v=1"));

        Assert.Equal("v=1", Assert.Single(server.Requests).Text);
    }

    [Fact]
    public async Task A_token_that_the_constructor_of_a_typed_client_sets_is_supplied_on_replay()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create(
            sync => sync.OnReplaying = (context, _) =>
            {
                context.Request.Headers.Authorization = context.Services.GetRequiredService<Tokens>().Current;
                return Task.CompletedTask;
            },
            client: builder => builder.AddTypedClient<OrderClient>(),
            services: services => services.AddScoped<Tokens>());
        await server.StopAsync();
        using (var scope = app.Services.CreateScope())
        {
            await Assert.ThrowsAsync<RequestQueuedException>(
                () => scope.ServiceProvider.GetRequiredService<OrderClient>().SendAsync(server.Uri));
        }

        server.Start();
        Tokens.Age++;
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal([$"Bearer {Tokens.Age}"], Assert.Single(server.Requests).ValuesOf("Authorization"));
    }

    [Fact]
    public async Task An_entry_can_be_sent_to_another_host()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var other = new RawServer(Scripts.Respond(200));
        await using var app = Create(sync => sync.OnReplaying = (context, _) =>
        {
            context.Request.RequestUri = new(other.Uri, context.Request.RequestUri!.PathAndQuery);
            return Task.CompletedTask;
        });
        await QueueWhileDownAsync(app, server, "1");

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Empty(server.Requests);
        Assert.Equal("1", Assert.Single(other.Requests).Text);
        await EmptyAsync(app);
    }

    [Fact]
    public async Task A_method_that_was_changed_is_not_taken_for_a_redirect()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create(sync => sync.OnReplaying = (context, _) =>
        {
            context.Request.Method = HttpMethod.Put;
            context.Request.RequestUri = new($"http://127.0.0.1:{RawServer.RefusedPort()}/");
            return Task.CompletedTask;
        });
        await QueueWhileDownAsync(app, server, "1");

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal(0, Assert.Single(await app.EntriesAsync()).Attempts);
    }

    [Fact]
    public async Task A_POST_whose_key_was_taken_off_is_not_sent_twice()
    {
        await using var server = new RawServer(Scripts.CloseAfterRequest());
        await using var app = Create(sync => sync.OnReplaying = (context, _) =>
        {
            context.Request.Headers.Remove("Idempotency-Key");
            return Task.CompletedTask;
        });
        await QueueWhileDownAsync(app, server, "1");

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal(DeadLetterCause.MaybeProcessed, Assert.Single(await app.DeadLettersAsync()).Cause);
    }

    [Fact]
    public async Task Each_attempt_is_told_its_number_and_whether_it_is_the_last()
    {
        List<(int, bool)> attempts = [];
        await using var server = new RawServer(Scripts.Respond(500));
        await using var app = Create(sync =>
        {
            sync.Retry.MaxAttempts = 3;
            sync.OnReplaying = (context, _) =>
            {
                attempts.Add((context.Attempt, context.IsLastAttempt));
                return Task.CompletedTask;
            };
        });
        await QueueWhileDownAsync(app, server, "1");
        for (var i = 0; i < 4; i++)
        {
            await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        }

        Assert.Equal([(1, false), (2, false), (3, true)], attempts);
    }

    [Fact]
    public async Task A_hook_that_throws_costs_an_attempt_and_is_called_again_after_the_backoff()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        var calls = 0;
        await using var app = Create(sync => sync.OnReplaying = (_, _) =>
            ++calls <= 2 ? throw new InvalidOperationException("No token.") : Task.CompletedTask);
        await QueueWhileDownAsync(app, server, "1");

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Empty(server.Requests);
        var entry = Assert.Single(await app.EntriesAsync());
        Assert.Equal((2, "OnReplaying failed. InvalidOperationException: No token."), (entry.Attempts, entry.LastError));
        Assert.Equal(Clock.GetUtcNow().AddSeconds(2), entry.DueAt);
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        await EmptyAsync(app);
    }

    [Fact]
    public async Task A_hook_that_cannot_reach_its_own_server_costs_nothing()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create(sync => sync.OnReplaying = static (_, _) =>
            throw new HttpRequestException(HttpRequestError.ConnectionError, "The token's server is down."));
        await QueueWhileDownAsync(app, server, "1");

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        var entry = Assert.Single(await app.EntriesAsync());
        Assert.Equal((0, false), (entry.Attempts, entry.IsLeased));
        Assert.Empty(server.Requests);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_hook_that_never_returns_is_cut_off_with_the_time_of_an_attempt(bool blocks)
    {
        using var end = new ManualResetEventSlim();
        var called = false;
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create(sync =>
        {
            sync.AttemptTimeout = TimeSpan.FromSeconds(10);
            sync.OnReplaying = (_, _) =>
            {
                called = true;
                if (blocks)
                {
                    end.Wait(CancellationToken.None);
                }

                return new TaskCompletionSource().Task;
            };
        });
        await QueueWhileDownAsync(app, server, "1");

        var replaying = app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        await Eventually.TrueAsync(() => called, "the hook is called");
        Clock.Advance(TimeSpan.FromSeconds(10));
        await replaying;

        Assert.Empty(server.Requests);
        var entry = Assert.Single(await app.EntriesAsync());
        Assert.Equal((1, "OnReplaying failed. Timeout: It did not return in 10 seconds."), (entry.Attempts, entry.LastError));
        end.Set();
    }

    [Fact]
    public async Task A_response_is_shown_with_its_body_before_the_entry_is_settled()
    {
        (string? Body, long Live) seen = default;
        TestApplication? self = null;
        await using var server = new RawServer(Scripts.Respond(201, "made"));
        await using var app = self = Create(sync => sync.OnReplayed = async (context, token) =>
            seen = (await context.Response.Content.ReadAsStringAsync(token), (await self!.Queue.CountAsync(token)).Pending));
        await QueueWhileDownAsync(app, server, "1");

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal(("made", 1), seen);
        await EmptyAsync(app);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_hook_that_fails_at_a_response_changes_nothing(bool throws)
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create(sync =>
        {
            sync.AttemptTimeout = Timeout.InfiniteTimeSpan;
            sync.OnReplayed = (_, _) => throws ? throw new InvalidOperationException("\u001b[2JNo.") : new TaskCompletionSource().Task;
        });
        await QueueWhileDownAsync(app, server, "1");

        var replaying = app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        await AdvanceUntilAsync(() => replaying.IsCompleted, "the replay ends");

        Assert.Equal(1, (await replaying).Delivered);
        Assert.Single(server.Requests);
        Assert.Contains(app.Logs.Lines, line => line.EventId == 3020 && !line.Message.Any(char.IsControl));
    }

    [Fact]
    public async Task A_stop_during_the_response_does_not_make_what_was_delivered_be_sent_again()
    {
        var called = false;
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = await StartAsync(sync => sync.OnReplayed = (_, token) =>
        {
            called = true;
            return Task.Delay(Timeout.InfiniteTimeSpan, token);
        });
        await QueueWhileDownAsync(app, server, "1");
        await AdvanceUntilAsync(() => called, "the response is shown");

        await app.Sync.StopAsync(new CancellationToken(canceled: true));

        await EmptyAsync(app);
        Assert.Single(server.Requests);
    }

    [Fact]
    public async Task Whoever_died_is_told_of_once_however_it_died()
    {
        List<(long, DeadLetterCause)> dead = [];
        await using var server = new RawServer(Scripts.Respond(400));
        await using var app = Create(sync =>
        {
            sync.MaxRetentionTime = TimeSpan.FromMinutes(1);
            sync.OnDeadLettered = (letter, _) =>
            {
                dead.Add((letter.Id, letter.Cause));
                throw new InvalidOperationException("No.");
            };
        });
        await QueueWhileDownAsync(app, server, "1");
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        await QueueWhileDownAsync(app, server, "2");
        Clock.Advance(TimeSpan.FromMinutes(2));
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        await Eventually.TrueAsync(() => dead.Count == 2, "both are told");
        Assert.Equal([DeadLetterCause.Rejected, DeadLetterCause.Expired], dead.Select(letter => letter.Item2));
        Assert.Equal((await app.DeadLettersAsync()).Select(letter => letter.Id), dead.Select(letter => letter.Item1));
    }

    private Task AddAgeAsync(ReplayingContext context, CancellationToken cancellationToken) => RewriteAsync(
        context,
        parameters =>
        {
            var known = int.Parse(parameters[Age] ?? "0", CultureInfo.InvariantCulture);
            var age = (int)(Clock.GetUtcNow() - context.Entry.Timestamp).TotalMilliseconds;
            parameters[Age] = (known + age).ToString(CultureInfo.InvariantCulture);
        },
        cancellationToken);

    private static async Task RewriteAsync(
        ReplayingContext context, Action<NameValueCollection> rewrite, CancellationToken cancellationToken)
    {
        var parameters = HttpUtility.ParseQueryString(await context.Request.Content!.ReadAsStringAsync(cancellationToken));
        rewrite(parameters);
        context.Request.Content = new StringContent(parameters.ToString()!);
    }

    private sealed class Tokens
    {
        public static int Age { get; set; }

        public AuthenticationHeaderValue Current { get; } = new("Bearer", $"{Age}");
    }

    private sealed class OrderClient
    {
        private readonly HttpClient _client;

        public OrderClient(HttpClient client, Tokens tokens)
        {
            _client = client;
            _client.DefaultRequestHeaders.Authorization = tokens.Current;
        }

        public Task<HttpResponseMessage> SendAsync(Uri uri) => _client.PostAsync(uri, new StringContent("order"));
    }
}
