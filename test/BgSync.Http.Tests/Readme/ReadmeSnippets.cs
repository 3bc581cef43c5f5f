using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Maui.Networking;
using RichardSzalay.MockHttp;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Readme;

/// <summary>The code of the README, compiled and run.</summary>
public sealed class ReadmeSnippets : IDisposable
{
    private HostApplicationBuilder builder { get; } = new(new HostApplicationBuilderSettings { DisableDefaults = true });
    private readonly FakeWire _wire = new();
    private readonly List<string> _shown = [];
    private object order { get; } = new { Apples = 2 };
    private IHost? _host;

    private HttpClient client => Build().GetRequiredService<IHttpClientFactory>().CreateClient("api");

    [Fact]
    public async Task The_first_lines()
    {
        builder.Services
            .AddHttpClient("api", client => client.BaseAddress = new Uri("https://api.example.com"))
            .AddBackgroundSync("orders");

        try
        {
            using var response = await client.PostAsJsonAsync("orders", order);
        }
        catch (RequestQueuedException queued)
        {
            Show($"Kept on this device as number {queued.EntryId}; it is sent when the network is back.");
        }

        Assert.Equal("Kept on this device as number 1; it is sent when the network is back.", Assert.Single(_shown));
    }

    [Theory]
    [InlineData("POST", "http://api.example.com/albums/1/photos", true)]
    [InlineData("PUT", "http://api.example.com/albums/1", true)]
    [InlineData("DELETE", "http://api.example.com/drafts/2026/1", true)]
    [InlineData("GET", "http://api.example.com/drafts", false)]
    [InlineData("POST", "http://img.example.com/", true)]
    [InlineData("POST", "http://beta.example.com/", true)]
    [InlineData("POST", "http://api.example.com/letters", false)]
    public async Task Routes(string method, string uri, bool isQueued)
    {
        builder.Services.AddSingleton(new BetaHosts { "beta.example.com" });
        builder.Services.AddHttpClient("api")
            .AddBackgroundSync("photos", sync =>
            {
                sync.Routes.Add(HttpMethod.Post, "/albums/{album}/photos");
                sync.Routes.Add("PUT /albums/{album}");
                sync.Routes.Add("/drafts/{*rest}");                                 // POST, PUT, PATCH and DELETE
                sync.Routes.Add(request => request.RequestUri!.Host == "img.example.com");
                sync.Routes.Add<BetaRoute>();                                       // from the container
            });

        var failure = await Assert.ThrowsAnyAsync<HttpRequestException>(() => client.SendAsync(new(new(method), uri)));

        Assert.Equal(isQueued, failure is RequestQueuedException);
    }

    [Fact]
    public async Task Return_accepted()
    {
        builder.Services.AddHttpClient("api", static client => client.BaseAddress = new("https://api.example.com"))
            .AddBackgroundSync("orders", sync => sync.WhenQueued = WhenQueued.ReturnAccepted);

        using var response = await client.PostAsJsonAsync("orders", order);
        if (response.RequestMessage!.TryGetBackgroundSyncEntryId(out var entryId))
        {
            Show($"202 Accepted, by the queue: number {entryId}.");
        }

        Assert.Equal((HttpStatusCode.Accepted, "202 Accepted, by the queue: number 1."), (response.StatusCode, Assert.Single(_shown)));
        Assert.Equal("1", Assert.Single(response.Headers.GetValues("Background-Sync-Entry-Id")));
    }

    [Theory]
    [InlineData(HttpStatusCode.OK, 1000, "The server answered 200, sooner or later.")]
    [InlineData(HttpStatusCode.BadRequest, 1000, "The server answered 400, sooner or later.")]
    [InlineData(HttpStatusCode.BadGateway, 1, "Number 1 will not arrive: Exhausted.")]
    [InlineData(null, 1000, "Not yet: number 1 stays queued.")]
    public async Task Wait_for_the_response(HttpStatusCode? status, int attempts, string shown)
    {
        builder.Services.AddHttpClient("api", static client => client.BaseAddress = new("https://api.example.com"))
            .AddBackgroundSync("orders", sync =>
            {
                sync.WhenQueued = WhenQueued.Wait;
                sync.WaitTimeout = TimeSpan.FromMinutes(2);
                sync.Retry.MaxAttempts = attempts;
            })
            .AddHttpMessageHandler(() => new AnsweringHandler(() => _wire.IsOnline ? status : null));
        var cancellationToken = TestContext.Current.CancellationToken;
        var client = this.client;
        var queue = Queue("orders");
        var waiting = WaitAsync();
        await Eventually.TrueAsync(() => CountAsync().GetAwaiter().GetResult() == 1, "the order is queued");

        _wire.IsOnline = true;
        await (status is null
            ? Build().GetRequiredService<IBackgroundSync>().StopAsync(cancellationToken)
            : queue.ReplayAsync(Timeout.InfiniteTimeSpan, cancellationToken));

        await waiting;
        Assert.Equal(shown, Assert.Single(_shown));

        async Task<long> CountAsync() => (await queue.CountAsync(cancellationToken)).Pending;

        async Task WaitAsync()
        {
            try
            {
                using var response = await client.PostAsJsonAsync("orders", order, cancellationToken);
                Show($"The server answered {(int)response.StatusCode}, sooner or later.");
            }
            catch (RequestQueuedException queued)
            {
                Show($"Not yet: number {queued.EntryId} stays queued.");
            }
            catch (RequestNotDeliveredException failed)
            {
                Show($"Number {failed.EntryId} will not arrive: {failed.Cause}.");
            }
        }
    }

    [Theory]
    [InlineData(null, "It waits for its server.")]
    [InlineData(HttpStatusCode.OK, "200: ")]
    [InlineData(HttpStatusCode.BadRequest, "Rejected: The server answered 400.")]
    public async Task Ask_what_became_of_it(HttpStatusCode? status, string shown)
    {
        builder.Services.AddHttpClient("api").AddBackgroundSync("orders")
            .AddHttpMessageHandler(() => new AnsweringHandler(() => _wire.IsOnline ? status : null));
        await QueueOneAsync();
        var queue = Queue("orders");
        _wire.IsOnline = status is not null;
        await queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        var entryId = 1;

        var receipt = await queue.GetReceiptAsync(entryId);
        Show(receipt switch
        {
            { State: ReceiptState.Queued } => "It waits for its server.",
            { State: ReceiptState.Delivered, Response: { } response } =>
                $"{response.StatusCode}: {Encoding.UTF8.GetString(response.Body.Span)}",
            { State: ReceiptState.Delivered } => $"{receipt.StatusCode}",
            { State: ReceiptState.DeadLettered } => $"{receipt.Cause}: {receipt.Error}",
            _ => "Nothing is known of it, or no longer.",
        });

        Assert.Equal(shown, Assert.Single(_shown));
    }

    [Fact]
    public async Task A_token_handler_inside()
    {
        builder.Services.AddSingleton<TokenSource>();
        builder.Services.AddTransient<TokenHandler>();
        builder.Services.AddHttpClient("api")
            .AddBackgroundSync("orders")
            .AddHttpMessageHandler<TokenHandler>();      // after it, so inside: runs again on every replay

        await QueueOneAsync();
        _wire.IsOnline = true;
        await Queue("orders").ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal("Bearer 2", Assert.Single(_wire.Received).Headers.Authorization?.ToString());
    }

    [Theory]
    [InlineData("http://api.example.com/orders", "Bearer 1", null)]
    [InlineData("http://api.example.com/hits", null, "A hit of yesterday tells nothing.")]
    public async Task A_token_on_replay_and_an_entry_dropped(string uri, string? token, string? dropped)
    {
        builder.Services.AddSingleton<TokenSource>();
        builder.Services.AddSingleton<TimeProvider>(new TestClock());
        builder.Services.AddHttpClient("api").AddBackgroundSync("orders", static sync =>
        {
            sync.OnReplaying = async (replaying, cancellationToken) =>
            {
                var tokens = replaying.Services.GetRequiredService<TokenSource>();
                replaying.Request.Headers.Authorization = new("Bearer", await tokens.GetTokenAsync(cancellationToken));
                if (replaying.Entry.Timestamp < DateTimeOffset.UtcNow.AddDays(-1) && replaying.Request.RequestUri!.AbsolutePath == "/hits")
                {
                    replaying.Drop("A hit of yesterday tells nothing.");
                }
            };
        });
        await Assert.ThrowsAsync<RequestQueuedException>(() => client.PostAsync(uri, null));
        _wire.IsOnline = true;

        await Queue("orders").ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal(token, _wire.Received.SingleOrDefault()?.Headers.Authorization?.ToString());
        Assert.Equal(dropped, (await Queue("orders").GetDeadLettersAsync().SingleOrDefaultAsync())?.Error);
    }

    [Fact]
    public async Task An_observer()
    {
        builder.Services.AddHttpClient("api").AddBackgroundSync("orders");

        builder.Services.AddSingleton<IBackgroundSyncObserver, Journal>();

        await QueueOneAsync();
        var journal = Assert.IsType<Journal>(Build().GetRequiredService<IBackgroundSyncObserver>());
        await Eventually.TrueAsync(() => journal.Lines.Contains("orders 1 Queued "), "the journal is written");
    }

    [Fact]
    public async Task Watch_a_queue()
    {
        builder.Services.AddHttpClient("api").AddBackgroundSync("orders");
        await QueueOneAsync();
        var queue = Queue("orders");
        using var cancel = new CancellationTokenSource();
        var cancellationToken = cancel.Token;
        var watching = WatchAsync();
        await Eventually.TrueAsync(() => _shown.Count == 1, "the first update is shown");
        await queue.PauseAsync("Enough.", CancellationToken.None);
        await Eventually.TrueAsync(() => _shown.Count == 3, "the pause is shown");
        await cancel.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => watching);
        Assert.Equal(["1 waiting, 0 not delivered", "1 waiting, 0 not delivered", "Paused  Enough."], _shown);

        async Task WatchAsync()
        {
            await foreach (var update in queue.WatchAsync(cancellationToken))
            {
                Show($"{update.Counts.Pending} waiting, {update.Counts.DeadLettered} not delivered");
                foreach (var happened in update.Events)
                {
                    Show($"{happened.Kind} {happened.EntryId} {happened.Reason}");
                }
            }
        }
    }

    [Fact]
    public async Task A_replay_of_your_own()
    {
        builder.Services.AddHttpClient("api").AddBackgroundSync("orders", sync =>
        {
            sync.Replay.TriggerJitter = TimeSpan.Zero;
            sync.OnSync = async (pass, cancellationToken) =>
            {
                if (IsOnWiFi())
                {
                    await pass.ReplayAsync(cancellationToken);      // what is due, as without OnSync
                }
            };
        });
        await QueueOneAsync();
        _wire.IsOnline = true;
        await Build().GetRequiredService<IBackgroundSync>().StartAsync();

        await Eventually.TrueAsync(() => _wire.Received.Count == 1, "the order is sent");

        await Build().GetRequiredService<IBackgroundSync>().StopAsync();

        static bool IsOnWiFi() => true;
    }

    [Fact]
    public async Task The_rules_of_Workbox()
    {
        builder.Services.AddHttpClient("api")
            .AddBackgroundSync("orders", sync => sync.UseWorkboxDefaults());

        await QueueOneAsync();

        Assert.Equal(1, (await Queue("orders").CountAsync()).Pending);
    }

    [Fact]
    public async Task Lanes_secrets_and_failures()
    {
        builder.Services.AddHttpClient("api").AddBackgroundSync("orders", static sync =>
        {
            sync.LaneBy(request => request.RequestUri!.AbsolutePath);
            sync.Capture.SecretHeaders.Add("X-Api-Key");
            sync.ClassifyFailure = failure => failure is RadioOffException
                ? FailureVerdict.NotSent
                : FailureClassifier.Classify(failure);
            sync.ClassifyResponse = static (response, token) =>
                new(response.StatusCode == HttpStatusCode.Gone ? ResponseVerdict.Delivered : null);
        }).AddHttpMessageHandler(static () => new RadioHandler());
        using var request = new HttpRequestMessage(HttpMethod.Put, "http://api.example.com/orders/7");
        request.Headers.Add("X-Api-Key", "secret");
        request.SetBackgroundSyncMetadata(new Dictionary<string, string> { ["title"] = "two apples" });

        await Assert.ThrowsAsync<RequestQueuedException>(() => client.SendAsync(request));

        var entry = await Queue("orders").GetAllAsync().SingleAsync();
        Assert.Equal(("/orders/7", "two apples"), (entry.Lane, entry.Metadata["title"]));
        Assert.Empty(entry.Request.Headers);
    }

    [Fact]
    public async Task Let_nothing_overtake()
    {
        builder.Services.AddHttpClient("api").AddBackgroundSync("orders", static sync =>
        {
            sync.LaneBy(request => request.RequestUri!.AbsolutePath);
            sync.Overtaking = Overtaking.Never;
        });
        await QueueOneAsync(HttpMethod.Put);
        _wire.IsOnline = true;

        using var response = await client.SendAsync(new(HttpMethod.Delete, "http://api.example.com/orders"));

        Assert.Equal([HttpMethod.Put, HttpMethod.Delete], _wire.Received.Select(request => request.Method));
    }

    [Fact]
    public async Task Lose_nothing_to_a_crash_during_the_first_send()
    {
        builder.Services.AddHttpClient("api").AddBackgroundSync("orders", static sync =>
        {
            sync.WriteAhead = true;
        });
        await QueueOneAsync(HttpMethod.Post);
        _wire.IsOnline = true;

        var summary = await Queue("orders").ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal((1, 0), (summary.Delivered, summary.Remaining));
    }

    [Fact]
    public async Task Go_on_without_one_that_keeps_failing()
    {
        builder.Services.AddHttpClient("api").AddBackgroundSync("orders", static sync =>
        {
            sync.Retry.SkipAfterAttempts = 10;
        }).AddHttpMessageHandler(() => new AnsweringHandler(() => _wire.IsOnline ? HttpStatusCode.BadGateway : null));
        await QueueOneAsync();
        _wire.IsOnline = true;

        // The loop may make an attempt of its own beside those by hand.
        while (await Queue("orders").GetAllAsync().SingleAsync() is { Attempts: < 10 } entry)
        {
            Assert.Equal("", entry.Lane);
            await Queue("orders").ReplayAsync(Timeout.InfiniteTimeSpan);
        }

        Assert.Equal("#1", (await Queue("orders").GetAllAsync().SingleAsync()).Lane);
    }

    [Fact]
    public async Task Only_the_newest_counts()
    {
        builder.Services.AddHttpClient("api").AddBackgroundSync("orders", static sync =>
        {
            sync.CoalesceBy(request => request.RequestUri!.AbsolutePath);
        });

        await QueueOneAsync(HttpMethod.Put);
        await QueueOneAsync(HttpMethod.Delete);

        Assert.Equal(HttpMethod.Delete, (await Queue("orders").GetAllAsync().SingleAsync()).Request.Method);
    }

    [Fact]
    public async Task One_request_of_two()
    {
        builder.Services.AddHttpClient("api").AddBackgroundSync("orders", static sync =>
        {
            sync.CoalesceBy(
                request => request.RequestUri!.AbsolutePath,
                async (both, cancellationToken) =>
                {
                    var (older, newer) = (both.QueuedRequest, both.Request);
                    if (older.Method == HttpMethod.Put && newer.Method == HttpMethod.Delete)
                    {
                        return Coalescing.CancelOut;                // made and deleted while offline: nothing is sent
                    }

                    if (older.Method == HttpMethod.Put && newer.Method == HttpMethod.Patch)
                    {
                        var note = await older.Content!.ReadFromJsonAsync<JsonObject>(cancellationToken);
                        var patch = await newer.Content!.ReadFromJsonAsync<JsonObject>(cancellationToken);
                        foreach (var (name, value) in patch!)
                        {
                            note![name] = value?.DeepClone();
                        }

                        newer.Method = HttpMethod.Put;
                        newer.Content = JsonContent.Create(note);
                        return Coalescing.ReplaceQueued;            // by what the newer request is now
                    }

                    return Coalescing.Append;
                });
        });
        var note = new Uri("http://api.example.com/notes/1");
        await Assert.ThrowsAsync<RequestQueuedException>(() => client.PutAsJsonAsync(note, new { Title = "apples", Count = 2 }));
        await Assert.ThrowsAsync<RequestQueuedException>(() => client.PatchAsJsonAsync(note, new { Count = 3 }));

        var entry = await Queue("orders").GetAllAsync().SingleAsync();
        await using (var stored = await Queue("orders").OpenBodyAsync(entry.Id))
        {
            Assert.Equal("""{"title":"apples","count":3}""", await new StreamReader(stored!).ReadToEndAsync());
        }

        var removed = await Assert.ThrowsAsync<RequestQueuedException>(() => client.DeleteAsync(note));
        Assert.Equal(Coalescing.CancelOut, removed.Coalescing);
        Assert.Equal(default, await Queue("orders").CountAsync());
        await QueueOneAsync(HttpMethod.Delete);
        await QueueOneAsync(HttpMethod.Delete);
        Assert.Equal(2, (await Queue("orders").CountAsync()).Pending);
    }

    [Fact]
    public async Task What_one_request_asks_for()
    {
        builder.Services.AddHttpClient("api").AddBackgroundSync("orders");
        using var request = new HttpRequestMessage(HttpMethod.Put, "http://api.example.com/orders/7");
        var openingTime = new DateTimeOffset(DateTime.UtcNow.Date.AddDays(1), TimeSpan.Zero);
        var closingTime = openingTime.AddHours(8);

        request.SetBackgroundSyncLane("orders of table 7");
        request.SetBackgroundSyncPriority(EntryPriority.High);          // before what waits in its lane, and its lane before others
        request.SetBackgroundSyncRetention(TimeSpan.FromDays(30));      // in place of MaxRetentionTime
        request.SetBackgroundSyncDeadline(closingTime);                 // expires then, should its retention not end before
        request.SetBackgroundSyncNotBefore(openingTime);                // once queued it waits until then, and its lane with it

        await Assert.ThrowsAsync<RequestQueuedException>(() => client.SendAsync(request));

        var entry = await Queue("orders").GetAllAsync().SingleAsync();
        Assert.Equal(("orders of table 7", EntryPriority.High, closingTime), (entry.Lane, entry.Priority, entry.ExpiresAt));
        Assert.Equal(openingTime, entry.DueAt!.Value, TimeSpan.FromSeconds(1));
    }

    [Fact]
    public async Task A_request_that_needs_another_s_response()
    {
        builder.Services.AddHttpClient("api").AddBackgroundSync("orders", static sync =>
        {
            sync.OnReplaying = (replaying, _) =>
            {
                if (replaying.Prerequisite?.Response is { IsWhole: true } response)
                {
                    using var json = JsonDocument.Parse(response.Body);
                    var serverId = json.RootElement.GetProperty("id").GetRawText();
                    var address = replaying.Request.RequestUri!.AbsoluteUri;
                    replaying.Request.RequestUri = new Uri(
                        address.Replace(replaying.Entry.Metadata["order"], serverId, StringComparison.Ordinal));
                }

                return Task.CompletedTask;
            };
        });
        var queue = Queue("orders");
        using var newOrder = new HttpRequestMessage(HttpMethod.Post, "http://api.example.com/orders");
        using var newLine = new HttpRequestMessage(HttpMethod.Post, "http://api.example.com/orders/tmp-17/lines");
        _wire.ResponseBody = """{"id":42}""";
        _wire.IsOnline = true;

        var orderEntry = await queue.PushAsync(newOrder);               // POST /orders
        newLine.SetBackgroundSyncPrerequisite(orderEntry);              // POST /orders/tmp-17/lines
        newLine.SetBackgroundSyncMetadata(new Dictionary<string, string> { ["order"] = "tmp-17" });
        await queue.PushAsync(newLine);

        await queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        Assert.Equal(["/orders", "/orders/42/lines"], _wire.Received.Select(request => request.RequestUri!.AbsolutePath));
    }

    [Fact]
    public void Configuration()
    {
        var json = ReadmeText.Blocks("json").Single();
        builder.Configuration.AddJsonStream(new MemoryStream(Encoding.UTF8.GetBytes(json)));

        builder.Services.AddHttpClient("api")
            .AddBackgroundSync("orders", builder.Configuration.GetSection("BackgroundSync:orders"));

        Assert.Equal("orders", Queue("orders").Name);
    }

    [Fact]
    public async Task A_file_of_your_own()
    {
        using var directory = new TempDirectory();
        var folder = directory.Path;

        builder.Services.AddBackgroundSyncSqlite(Path.Combine(folder, "queues.db"));

        builder.Services.AddHttpClient("api").AddBackgroundSync("orders").ConfigurePrimaryHttpMessageHandler(() => _wire);
        using var host = builder.Build();
        await host.Services.GetRequiredKeyedService<IBackgroundSyncQueue>("orders").CountAsync();
        Assert.True(File.Exists(directory.File("queues.db")));
    }

    [Fact]
    public async Task Without_a_host()
    {
        using var directory = new TempDirectory();
        var file = directory.File("queues.db");

        var services = new ServiceCollection();
        services.AddHttpClient("api").AddBackgroundSync("orders");
        services.AddBackgroundSyncSqlite(file);
        await using var provider = services.BuildServiceProvider();
        var sync = provider.GetRequiredService<IBackgroundSync>();

        await sync.StartAsync();                            // when the application starts
        await sync.ReplayAsync(TimeSpan.FromSeconds(20));   // when the system grants some seconds, or the user asks
        await sync.StopAsync();                             // when the application ends
    }

    [Fact]
    public async Task Look_into_a_queue()
    {
        builder.Services.AddHttpClient("api").AddBackgroundSync("orders");
        builder.Services.AddSingleton<Outbox>();
        await QueueOneAsync();

        await Build().GetRequiredService<Outbox>().ShowAsync();

        Assert.Equal(1, await Build().GetRequiredService<Outbox>().CountAsync());
    }

    [Fact]
    public async Task Push_pop_and_edit_by_hand()
    {
        builder.Services.AddHttpClient("api").AddBackgroundSync("orders");
        var queue = Queue("orders");

        using var request = new HttpRequestMessage(HttpMethod.Post, "https://api.example.com/orders")
        {
            Content = JsonContent.Create(order),
        };
        var id = await queue.PushAsync(request);                // or UnshiftAsync, before all of its priority

        await queue.EditAsync(id, edit =>
        {
            edit.Request.RequestUri = new Uri("https://new.example.com/orders");
            edit.Lane = "express";
        });

        using var first = await queue.ShiftAsync();             // or PopAsync, the last; null when there is none
        if (first is not null)
        {
            Show($"{first.Entry.Timestamp:u} {first.Request.RequestUri}, {first.Entry.Attempts} attempts");
            await queue.UnshiftAsync(first.Request, first.Entry.Timestamp);
        }

        Assert.EndsWith(" https://new.example.com/orders, 0 attempts", Assert.Single(_shown), StringComparison.Ordinal);
        Assert.Equal(1, (await queue.CountAsync()).Pending);
    }

    [Fact]
    public async Task Dead_letters()
    {
        builder.Services.AddHttpClient("api").AddBackgroundSync("orders").AddHttpMessageHandler(
            () => new AnsweringHandler(() => _wire.IsOnline ? HttpStatusCode.Conflict : null));
        await QueueOneAsync(HttpMethod.Put);
        _wire.IsOnline = true;
        var queue = Queue("orders");
        await queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        await foreach (var letter in queue.GetDeadLettersAsync())
        {
            Show($"{letter.Entry?.Request.Uri}: {letter.Cause}, {letter.Error}");
            foreach (var attempt in letter.History)             // the last 20, oldest first
            {
                Show($"{attempt.At:u} {attempt.StatusCode} {attempt.Error}");
            }

            if (letter.StatusCode == 409)
            {
                await queue.RequeueAsync(letter.Id);            // to the end of its lane, with no attempts
            }
            else
            {
                await queue.DeleteDeadLetterAsync(letter.Id);
            }
        }

        Assert.Equal("http://api.example.com/orders: Rejected, The server answered 409.", _shown[0]);
        Assert.EndsWith("Z 409 The server answered 409.", Assert.Single(_shown.Skip(1)), StringComparison.Ordinal);
        Assert.Equal(new QueueCounts(Pending: 1, DeadLettered: 0, Bytes: 0), await queue.CountAsync());
    }

    [Fact]
    public async Task An_order_made_offline_arrives()
    {
        using var network = new MockHttpMessageHandler();
        var services = new ServiceCollection();
        services.AddHttpClient("api").AddBackgroundSync("orders").ConfigurePrimaryHttpMessageHandler(() => network);
        services.AddBackgroundSyncMemory();
        await using var provider = services.BuildServiceProvider();
        var client = provider.GetRequiredService<IHttpClientFactory>().CreateClient("api");
        var queue = provider.GetRequiredKeyedService<IBackgroundSyncQueue>("orders");

        network.Expect("https://api.example.com/orders").Throw(new HttpRequestException(HttpRequestError.ConnectionError));
        await Assert.ThrowsAsync<RequestQueuedException>(
            () => client.PostAsync("https://api.example.com/orders", new StringContent("two apples")));

        network.Expect("https://api.example.com/orders").WithContent("two apples").Respond(HttpStatusCode.Created);
        var summary = await queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal(1, summary.Delivered);
        network.VerifyNoOutstandingExpectation();
    }

    [Fact]
    public void Another_network_status()
    {
        var connectivity = new FakeConnectivity();
        var signals = new List<NetworkSignal>();

        builder.Services.AddSingleton<INetworkStatus, MauiNetworkStatus>();

        builder.Services.AddSingleton<IConnectivity>(connectivity);
        using (Build().GetRequiredService<INetworkStatus>().Subscribe(signals.Add))
        {
            connectivity.Change(NetworkAccess.None);
            connectivity.Change(NetworkAccess.Internet);
        }

        connectivity.Change(NetworkAccess.Internet);
        Assert.Equal([NetworkSignal.Available], signals);
    }

    [Fact]
    public async Task A_small_queue()
    {
        builder.Services.AddHttpClient("api").AddBackgroundSync("orders", sync =>
        {
            sync.Limits.MaxEntries = 1000;
            sync.Limits.MaxBytes = 100 * 1024 * 1024;               // the bodies together
            sync.Limits.WhenFull = WhenFull.DropOldest;             // or DropFirstToExpire, or RefuseNew, the default

            sync.DeadLetters.MaxCount = 100;                        // the first to die go first
            sync.DeadLetters.Retention = TimeSpan.FromDays(30);
            sync.DeadLetters.DiscardExpired = true;                 // what expires is deleted and no dead letter, as in Workbox

            sync.Limits.MaxEntries = 1;
        });

        await QueueOneAsync();
        await QueueOneAsync();

        Assert.Equal(2, (await Queue("orders").GetAllAsync().SingleAsync()).Id);
        Assert.Equal(DeadLetterCause.DroppedForSpace, (await Queue("orders").GetDeadLettersAsync().SingleAsync()).Cause);
    }

    public void Dispose() => _host?.Dispose();

    private void Show(string text) => _shown.Add(text);

    private IServiceProvider Build()
    {
        if (_host is null)
        {
            builder.Services.ConfigureHttpClientDefaults(defaults => defaults.ConfigurePrimaryHttpMessageHandler(() => _wire));
            builder.Services.AddBackgroundSyncMemory();
            _host = builder.Build();
        }

        return _host.Services;
    }

    private IBackgroundSyncQueue Queue(string name) => Build().GetRequiredKeyedService<IBackgroundSyncQueue>(name);

    private async Task QueueOneAsync(HttpMethod? method = null) => await Assert.ThrowsAsync<RequestQueuedException>(
        () => client.SendAsync(new(method ?? HttpMethod.Post, "http://api.example.com/orders")));

    private sealed class RadioOffException : Exception;

    private sealed class RadioHandler : DelegatingHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
            throw new RadioOffException();
    }

    private sealed class AnsweringHandler(Func<HttpStatusCode?> status) : DelegatingHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
            status() is { } code ? Task.FromResult(new HttpResponseMessage(code)) : base.SendAsync(request, cancellationToken);
    }

    private sealed class FakeConnectivity : IConnectivity
    {
        public event EventHandler<ConnectivityChangedEventArgs>? ConnectivityChanged;

        public NetworkAccess NetworkAccess => NetworkAccess.Internet;

        public void Change(NetworkAccess access) => ConnectivityChanged?.Invoke(this, new(access));
    }
}

public sealed class BetaHosts : HashSet<string>;

public sealed class BetaRoute(BetaHosts hosts) : IRoutePredicate
{
    public bool IsMatch(HttpRequestMessage request) => hosts.Contains(request.RequestUri!.Host);
}

public sealed class TokenSource
{
    private int _count;

    public Task<string> GetTokenAsync(CancellationToken cancellationToken) =>
        Task.FromResult($"{Interlocked.Increment(ref _count)}").WaitAsync(cancellationToken);
}

public sealed class TokenHandler(TokenSource tokens) : DelegatingHandler
{
    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", await tokens.GetTokenAsync(cancellationToken));
        return await base.SendAsync(request, cancellationToken);
    }
}

public sealed class Outbox([FromKeyedServices("orders")] IBackgroundSyncQueue queue)
{
    public async Task<long> CountAsync() => (await queue.CountAsync()).Pending;

    public async Task ShowAsync()
    {
        await foreach (var entry in queue.GetAllAsync())
        {
            Console.WriteLine($"{entry.Id} {entry.Request.Method} {entry.Request.Uri}, {entry.BodyLength} bytes, "
                + $"{entry.Attempts} attempts, next {entry.DueAt}: {entry.LastError}");
        }
    }
}

public sealed class Journal : IBackgroundSyncObserver
{
    public ConcurrentQueue<string> Lines { get; } = [];

    public Task OnEventAsync(EntryEvent entryEvent, CancellationToken cancellationToken)
    {
        Lines.Enqueue($"{entryEvent.Queue} {entryEvent.EntryId} {entryEvent.Kind} {entryEvent.StatusCode}");
        return Task.CompletedTask;
    }
}

public sealed class MauiNetworkStatus(IConnectivity connectivity) : INetworkStatus
{
    public IDisposable Subscribe(Action<NetworkSignal> onSignal)
    {
        connectivity.ConnectivityChanged += Changed;
        return new Subscription(() => connectivity.ConnectivityChanged -= Changed);

        void Changed(object? sender, ConnectivityChangedEventArgs change)
        {
            if (change.NetworkAccess != NetworkAccess.None)
            {
                onSignal(NetworkSignal.Available);
            }
        }
    }

    private sealed class Subscription(Action end) : IDisposable
    {
        public void Dispose() => end();
    }
}
