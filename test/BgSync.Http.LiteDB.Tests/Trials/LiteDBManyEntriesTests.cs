using BgSync.Http.LiteDB.Collections;
using BgSync.Http.LiteDB.Documents;
using BgSync.Http.LiteDB.Tests.Storage;
using BgSync.Http.Storage;
using Microsoft.Extensions.Logging.Abstractions;
using TestKit;
using TestKit.Trials;
using Xunit;

namespace BgSync.Http.LiteDB.Tests.Trials;

[Collection(TrialCollection.Name)]
[Trait("Category", "Trial")]
public sealed class LiteDBManyEntriesTests : ManyEntriesTrials, IAsyncDisposable
{
    private const int EntriesPerCommit = 500;

    private readonly TempDirectory _directory = new();
    private readonly LiteDBQueueStore _store;

    public LiteDBManyEntriesTests(ITestOutputHelper output)
        : base(output) =>
        _store = new(
            new() { ConnectionString = _directory.File("queues.db") }, TimeProvider.System, NullLogger<LiteDBQueueStore>.Instance);

    private protected override IQueueStore Store => _store;

    protected override string Unit => "Documents and keys";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        await _store.DisposeAsync();
        _directory.Dispose();
    }

    protected override async Task MultiplyAsync(string queue, int times)
    {
        var entries = (int)(await Store.CountAsync(queue, Cancellation)).Pending;
        foreach (var positions in Enumerable.Repeat(Enumerable.Range(0, entries), times - 1).SelectMany(all => all.Chunk(EntriesPerCommit)))
        {
            await _store.RunAsync(session => Copy(session, queue, positions[0], positions[^1]), Cancellation);
        }
    }

    protected override Task<long> CountVisitedAsync() => _store.RunAsync(static session => session.Reads, Cancellation);

    protected override Task AssertIndexesAreUsedAsync() => LitePlan.AssertIndexedAsync(_store, "many", Cancellation);

    private static bool Copy(LiteSession session, string name, long first, long last)
    {
        var queue = session.Changes.Queues.Open(session, name);
        foreach (var document in session.Between(queue.Collection, EntryCollection.Position, first, last))
        {
            var position = queue.TakePosition(EntryPriority.Normal, QueueEnd.Back);
            EntryCollection.Insert(session, queue, EntryDocument.ToRow(document), new(position, 0, null, 0, AskedByServer: false));
            queue.Enter(bytes: 0);
        }

        return true;
    }
}
