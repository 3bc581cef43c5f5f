namespace BgSync.Http.PostgreSql;

/// <summary>Ids out of blocks that the database gives out: unique in the store, and known before anything is written.</summary>
internal sealed class IdBlocks(Func<CancellationToken, Task<long>> takeBlock) : IDisposable
{
    /// <summary>The increment of the sequence.</summary>
    private const int Size = 100;

    private readonly SemaphoreSlim _taking = new(1, 1);
    private readonly Lock _lock = new();
    private long _next;
    private long _end;

    public async ValueTask<long> NextAsync(CancellationToken cancellationToken)
    {
        long id;
        while (!TryNext(out id))
        {
            await _taking.WaitAsync(cancellationToken).ConfigureAwait(false);
            try
            {
                if (!HasSome)
                {
                    Begin(await takeBlock(cancellationToken).ConfigureAwait(false));
                }
            }
            finally
            {
                _taking.Release();
            }
        }

        return id;
    }

    public void Dispose() => _taking.Dispose();

    private bool HasSome
    {
        get
        {
            lock (_lock)
            {
                return _next < _end;
            }
        }
    }

    private bool TryNext(out long id)
    {
        lock (_lock)
        {
            id = _next;
            return _next < _end && ++_next > 0;
        }
    }

    private void Begin(long first)
    {
        lock (_lock)
        {
            (_next, _end) = (first, first + Size);
        }
    }
}
