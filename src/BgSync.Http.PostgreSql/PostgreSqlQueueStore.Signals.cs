using BgSync.Http.Storage;

namespace BgSync.Http.PostgreSql;

internal sealed partial class PostgreSqlQueueStore : IQueueStoreSignals
{
    private readonly PostgreSqlAnnouncer? _announcer;
    private readonly PostgreSqlListener? _listener;

    /// <inheritdoc/>
    /// <remarks>
    /// While there is a subscription, one connection of the data source is kept open to listen. Where it breaks, all queues are taken for
    /// changed when it is back. With <see cref="PostgreSqlStoreOptions.PollOnly"/> nothing is heard, and no connection kept.
    /// </remarks>
    public IDisposable Subscribe(Action<string?> queueChanged)
    {
        ArgumentNullException.ThrowIfNull(queueChanged);
        ThrowIfDisposed();
        return _listener?.Subscribe(queueChanged) ?? new Silence();
    }

    private async ValueTask EndSignalsAsync()
    {
        if (_listener is not null && _announcer is not null)
        {
            await _listener.DisposeAsync().ConfigureAwait(false);
            await _announcer.DisposeAsync().ConfigureAwait(false);
        }
    }

    /// <summary>A subscription to a store that hears nothing.</summary>
    private sealed class Silence : IDisposable
    {
        public void Dispose()
        {
        }
    }
}
