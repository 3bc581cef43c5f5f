using Microsoft.Extensions.Logging;
using Npgsql;

namespace BgSync.Http.PostgreSql;

/// <summary>
/// Tells the other processes which queues have changed: at once after a quiet time, and then no more often than the interval, so that a
/// storm of changes is no storm of wake-ups. The last change is always told.
/// </summary>
/// <remarks>Thread-safe.</remarks>
internal sealed partial class PostgreSqlAnnouncer(
    NpgsqlDataSource dataSource, ChangeChannel channel, TimeProvider timeProvider, ILogger logger) : IAsyncDisposable
{
    private static readonly TimeSpan _interval = TimeSpan.FromMilliseconds(100);

    private readonly ILogger _logger = logger;
    private readonly Lock _lock = new();
    private readonly HashSet<string> _changed = new(StringComparer.Ordinal);
    private readonly CancellationTokenSource _disposal = new();
    private Task _sending = Task.CompletedTask;
    private bool _isSending;
    private bool _isDisposed;

    /// <summary>Has the others told of a change that is committed. Returns at once.</summary>
    public void Announce(string queue)
    {
        lock (_lock)
        {
            if (_isDisposed)
            {
                return;
            }

            _changed.Add(queue);
            if (!_isSending)
            {
                _isSending = true;
                // Nothing of whoever changes a queue, a trace or a transaction, belongs to what is sent for all.
                using (ExecutionContext.SuppressFlow())
                {
                    _sending = Task.Run(SendAsync);
                }
            }
        }
    }

    /// <summary>Tells what is not told yet.</summary>
    public async ValueTask DisposeAsync()
    {
        lock (_lock)
        {
            if (_isDisposed)
            {
                return;
            }

            _isDisposed = true;
        }

        await _disposal.CancelAsync().ConfigureAwait(false);
        await _sending.ConfigureAwait(false);
        _disposal.Dispose();
    }

    private async Task SendAsync()
    {
        while (Take() is { Length: > 0 } queues)
        {
            try
            {
                await NotifyAsync(queues).ConfigureAwait(false);
            }
            catch (Exception e)
            {
                // The others look by time.
                LogNotTold(e, e.Message);
            }

            await Task.Delay(_interval, timeProvider, _disposal.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private string[] Take()
    {
        lock (_lock)
        {
            string[] queues = [.. _changed];
            _changed.Clear();
            _isSending = queues.Length > 0;
            return queues;
        }
    }

    private async Task NotifyAsync(string[] queues)
    {
        await using var command = dataSource.CreateCommand("SELECT pg_notify($1, payload) FROM unnest($2) AS payload");
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = channel.Name });
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = [.. queues.Select(channel.PayloadOf)] });
        await command.ExecuteNonQueryAsync().ConfigureAwait(false);
    }
}
