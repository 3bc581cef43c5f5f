namespace BgSync.Http.Queue;

/// <summary>
/// Lets those who ask for a thing by its name, such as a lane, have it one after another, in the order in which they asked.
/// </summary>
/// <remarks>Thread-safe. What nobody has or wants costs nothing.</remarks>
internal sealed class KeyedLock
{
    private readonly Dictionary<string, Turn> _last = new(StringComparer.Ordinal);

    /// <summary>Waits for a turn, which lasts until it is disposed of.</summary>
    public async Task<IDisposable> TakeAsync(string name, CancellationToken cancellationToken)
    {
        var turn = new Turn(this, name);
        Task before;
        lock (_last)
        {
            before = _last.TryGetValue(name, out var last) ? last.Ended : Task.CompletedTask;
            _last[name] = turn;
        }

        try
        {
            await before.WaitAsync(cancellationToken).ConfigureAwait(false);
            return turn;
        }
        catch
        {
            // The ones after this turn wait for those before it all the same.
            _ = before.ContinueWith(static (_, turn) => ((Turn)turn!).Dispose(), turn, TaskScheduler.Default);
            throw;
        }
    }

    private sealed class Turn(KeyedLock turns, string name) : IDisposable
    {
        private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Ended => _ended.Task;

        public void Dispose()
        {
            lock (turns._last)
            {
                if (turns._last[name] == this)
                {
                    turns._last.Remove(name);
                }
            }

            _ended.SetResult();
        }
    }
}
