using BgSync.Http.LiteDB.Collections;
using BgSync.Http.Storage;
using Microsoft.Extensions.Logging.Abstractions;
using TestKit;
using TestKit.Storage;

namespace BgSync.Http.LiteDB.Tests.Storage;

public sealed class LiteDBStoreContractTests : DurableStoreContractTests
{
    private readonly TempDirectory _directory = new();

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        _directory.Dispose();
    }

    private protected override IQueueStore OpenStore() => new LiteDBQueueStore(
        new LiteDBStoreOptions { ConnectionString = _directory.File("queues.db") }, Clock, NullLogger<LiteDBQueueStore>.Instance);

    protected override async Task<long> CountBodiesAsync() => await AskAsync(static session =>
        session.ReadAll(LiteSchema.Bodies).Count
            + session.Keys(LiteSchema.Chunks, LiteIndex.Id, long.MinValue, long.MaxValue).Count);

    private protected override long CommitsOf(IQueueStore store) => ((LiteDBQueueStore)store).Commits;

    protected override async Task<IAsyncDisposable> HoldCommitsAsync()
    {
        var holding = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var hold = new Hold();
        hold.Held = AskAsync(_ =>
        {
            holding.TrySetResult();
            return hold.Released.Wait(TimeSpan.FromSeconds(30), Cancellation);
        });
        await holding.Task;
        return hold;
    }

    protected override async Task<long> CostOfAsync(Func<Task> act)
    {
        var before = await AskAsync(static session => session.Reads);
        await act();
        return await AskAsync(static session => session.Reads) - before;
    }

    private Task<T> AskAsync<T>(Func<LiteSession, T> ask) => ((LiteDBQueueStore)Store).RunAsync(ask, Cancellation);

    private sealed class Hold : IAsyncDisposable
    {
        public ManualResetEventSlim Released { get; } = new();

        public Task Held { get; set; } = Task.CompletedTask;

        public async ValueTask DisposeAsync()
        {
            Released.Set();
            await Held;
            Released.Dispose();
        }
    }
}
