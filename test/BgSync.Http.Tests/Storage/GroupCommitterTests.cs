using System.Collections.Concurrent;
using BgSync.Http.Storage;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Storage;

/// <summary>When what is committed reaches the disk.</summary>
public sealed class GroupCommitterTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_nobody_waits_for_is_flushed_once_at_the_first_rest()
    {
        var committer = new RecordingCommitter();

        Assert.Equal(1, await committer.RunUnflushedAsync(static _ => 1, Cancellation));

        await Eventually.TrueAsync(() => committer.Flushes > 0, "the flush");
        Assert.Equal([false], committer.Transactions);
        committer.Dispose();
        Assert.Equal(1, committer.Flushes);
    }

    [Fact]
    public async Task One_that_waits_for_the_flush_has_it_made_for_all()
    {
        var committer = new RecordingCommitter();
        using var held = new ManualResetEventSlim();
        var first = committer.RunAsync(
            _ =>
            {
                held.Wait(Cancellation);
                return 0;
            },
            Cancellation);
        Task<int>[] together =
        [
            committer.RunUnflushedAsync(static _ => 1, Cancellation),
            committer.RunAsync(static _ => 2, Cancellation),
            committer.RunUnflushedAsync(static _ => 3, Cancellation),
        ];
        held.Set();

        await Task.WhenAll([first, .. together]);
        committer.Dispose();
        Assert.Equal(0, committer.Flushes);
        Assert.All(committer.Transactions, Assert.True);
    }

    [Fact]
    public async Task What_is_not_flushed_yet_is_flushed_before_the_database_is_closed()
    {
        var committer = new RecordingCommitter();
        await committer.RunUnflushedAsync(static _ => 1, Cancellation);

        committer.Dispose();

        Assert.Equal(1, committer.Flushes);
        Assert.True(committer.WasFlushedWhenClosed);
    }

    [Fact]
    public async Task Without_a_rest_it_is_flushed_all_the_same()
    {
        using var committer = new RecordingCommitter();
        using var held = new ManualResetEventSlim();

        // There is always one that waits, through several transactions that each take longer than anything may stay unflushed.
        var operations = Enumerable.Range(0, 1000).Select(number => committer.RunUnflushedAsync(
            _ =>
            {
                held.Wait(Cancellation);
                return number % 200 == 0 && SpinWait.SpinUntil(static () => false, TimeSpan.FromMilliseconds(120));
            },
            Cancellation)).ToArray();
        held.Set();
        await Task.WhenAll(operations);

        Assert.Contains(true, committer.Transactions);
    }

    /// <summary>Says which of its transactions were to be flushed, and how often it was flushed without one.</summary>
    private sealed class RecordingCommitter() : GroupCommitter<object>("BgSync test")
    {
        private int _flushes;

        public ConcurrentQueue<bool> Transactions { get; } = [];

        public int Flushes => Volatile.Read(ref _flushes);

        public bool WasFlushedWhenClosed { get; private set; }

        protected override object Open() => this;

        protected override void Begin(object session, bool flushes) => Transactions.Enqueue(flushes);

        protected override void Commit(object session)
        {
        }

        protected override void Flush() => Interlocked.Increment(ref _flushes);

        protected override Exception Abort(Exception failure) => failure;

        protected override bool Tidy() => false;

        protected override void Close() => WasFlushedWhenClosed = Flushes > 0;
    }
}
