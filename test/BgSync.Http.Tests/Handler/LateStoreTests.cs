using BgSync.Http.Storage;
using BgSync.Http.Storage.Memory;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.DependencyInjection;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Handler;

/// <summary>A caller that cancels, or whose store is late, is told the truth about its entry.</summary>
public sealed class LateStoreTests
{
    private static readonly Uri _uri = new("http://api.test/orders");

    private readonly TestClock _clock = new();
    private readonly FaultyStore _store = new(new MemoryQueueStore(TimeProvider.System));

    [Theory]
    [InlineData(WhenQueued.Throw)]
    [InlineData(WhenQueued.ReturnAccepted)]
    [InlineData(WhenQueued.Wait)]
    public async Task An_entry_is_taken_back_when_its_caller_cancels_while_it_is_written(WhenQueued whenQueued)
    {
        using var caller = new CancellationTokenSource();
        await using var app = Application(sync => sync.WhenQueued = whenQueued);
        _store.Before = operation => CancelAt(operation, nameof(IQueueStore.AddAsync), caller);

        var failure = await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => app.Client.PostAsync(_uri, new StringContent("order"), caller.Token));

        Assert.IsNotType<RequestQueuedException>(failure.InnerException);
        Assert.Empty(await app.EntriesAsync());
        Assert.Single(app.Logs.Lines, static line => line.EventId == 2019);
    }

    [Fact]
    public async Task An_entry_that_cannot_be_taken_back_is_named()
    {
        using var caller = new CancellationTokenSource();
        await using var app = Application();
        _store.Before = operation =>
        {
            CancelAt(operation, nameof(IQueueStore.AddAsync), caller);
            if (operation == nameof(IQueueStore.RemoveAsync))
            {
                throw new QueueStoreException(StoreFault.Unavailable, "The store is gone.");
            }
        };

        var failure = await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => app.Client.PostAsync(_uri, new StringContent("order"), caller.Token));

        var queued = Assert.IsType<RequestQueuedException>(failure.InnerException);
        Assert.Equal(queued.EntryId, Assert.Single(await app.EntriesAsync()).Id);
    }

    [Fact]
    public async Task EnqueueTimeout_holds_while_another_process_has_locked_the_file()
    {
        await using var app = new TestApplication(
            static sync => sync.EnqueueTimeout = TimeSpan.FromSeconds(1), primary: static () => new FakeWire(), clock: _clock);
        await app.Queue.CountAsync();
        await using var other = new SqliteConnection($"Data Source={app.Path};Pooling=False");
        other.Open();
        await using var begin = other.CreateCommand();
        begin.CommandText = "BEGIN IMMEDIATE";
        begin.ExecuteNonQuery();

        var sending = app.Client.PostAsync(_uri, new StringContent("order"));
        await Eventually.TrueAsync(() => _clock.NextTimerAt == _clock.GetUtcNow() + TimeSpan.FromSeconds(1), "the entry is written");
        _clock.Advance(TimeSpan.FromSeconds(1));

        var failure = await Assert.ThrowsAsync<HttpRequestException>(() => sending.WaitAsync(TimeSpan.FromSeconds(5)));
        Assert.Contains("EnqueueTimeout", failure.GetNotQueuedReason(), StringComparison.Ordinal);
        begin.CommandText = "ROLLBACK";
        begin.ExecuteNonQuery();
        await app.Queue.ResumeAsync();
        await Eventually.TrueAsync(() => app.EntriesAsync().GetAwaiter().GetResult().Count == 0, "the late entry is gone");
    }

    [Fact]
    public async Task An_edit_that_the_store_makes_too_late_is_whole_and_published()
    {
        var late = new TaskCompletionSource();
        await using var app = new TestApplication(
            static sync =>
            {
                sync.EnqueueTimeout = TimeSpan.FromSeconds(1);
                sync.Capture.InlineBodyLength = 0;
            },
            services: services => services.AddSingleton<IQueueStore>(_store),
            primary: static () => new FakeWire(),
            clock: _clock);
        var id = await app.Queue.PushAsync(new(HttpMethod.Post, _uri) { Content = new StringContent("old") });
        _store.Replacing = late.Task;
        var edited = app.Queue.UntilAsync(EntryEventKind.Edited);

        var editing = app.Queue.EditAsync(id, static edit => edit.Request.Content = new StringContent("new")).AsTask();
        await Eventually.TrueAsync(() => _clock.NextTimerAt == _clock.GetUtcNow() + TimeSpan.FromSeconds(1), "the entry is replaced");
        _clock.Advance(TimeSpan.FromSeconds(1));

        await Assert.ThrowsAsync<TimeoutException>(() => editing);
        late.SetResult();
        await edited;
        await using var body = await app.Queue.OpenBodyAsync(id);
        using var reader = new StreamReader(body!);
        Assert.Equal("new", await reader.ReadToEndAsync());
    }

    [Fact]
    public async Task A_synchronous_Send_needs_no_thread_whose_context_is_blocked()
    {
        await using var app = new TestApplication(
            primary: static () => new StubHandler(static _ => throw new HttpRequestException(HttpRequestError.ConnectionError)));
        var sending = Task.Run(() =>
        {
            SynchronizationContext.SetSynchronizationContext(new BlockedContext());
            using var request = new HttpRequestMessage(HttpMethod.Post, _uri) { Content = new ContentOfContext() };
            return Record.Exception(() => app.Client.Send(request));
        });

        Assert.IsType<RequestQueuedException>(await Eventually.DoneAsync(sending, "the request is queued"));
    }

    private TestApplication Application(Action<BackgroundSyncOptions>? configure = null) => new(
        configure, services: services => services.AddSingleton<IQueueStore>(_store), primary: static () => new FakeWire());

    private static void CancelAt(string operation, string wanted, CancellationTokenSource caller)
    {
        if (operation == wanted)
        {
            caller.Cancel();
        }
    }

    /// <summary>A context whose thread never comes to the callbacks that are posted to it.</summary>
    private sealed class BlockedContext : SynchronizationContext
    {
        public override void Post(SendOrPostCallback d, object? state)
        {
        }
    }

    private sealed class ContentOfContext : HttpContent
    {
        protected override async Task SerializeToStreamAsync(Stream stream, System.Net.TransportContext? context)
        {
            await Task.Yield();
            await stream.WriteAsync("x"u8.ToArray());
        }

        protected override void SerializeToStream(
            Stream stream, System.Net.TransportContext? context, CancellationToken cancellationToken) => stream.Write("x"u8);

        protected override bool TryComputeLength(out long length)
        {
            length = 1;
            return true;
        }
    }
}
