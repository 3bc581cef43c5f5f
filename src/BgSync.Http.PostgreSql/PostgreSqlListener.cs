using System.Data;
using BgSync.Http.Outcomes;
using BgSync.Http.Storage;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace BgSync.Http.PostgreSql;

/// <summary>
/// Hears what other processes tell of their changes, over one connection that is open while anybody listens. When it breaks it is opened
/// again, and all queues are taken for changed, because what was told meanwhile is lost.
/// </summary>
/// <remarks>Thread-safe.</remarks>
internal sealed partial class PostgreSqlListener(
    NpgsqlDataSource dataSource, ChangeChannel channel, TimeProvider timeProvider, Func<double> randomizer, ILogger logger)
    : IQueueStoreSignals, IAsyncDisposable
{
    private static readonly TimeSpan _keepAlive = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan _minBackoff = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan _maxBackoff = TimeSpan.FromMinutes(1);

    private readonly ILogger _logger = logger;
    private readonly Lock _lock = new();
    private volatile Action<string?>[] _subscribers = [];
    private CancellationTokenSource? _stop;
    private Task _listening = Task.CompletedTask;
    private bool _isDisposed;

    public IDisposable Subscribe(Action<string?> queueChanged)
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, typeof(IQueueStore));
            // A call for each subscription, also where two pass the same delegate.
            Action<string?> subscriber = queue => queueChanged(queue);
            _subscribers = [.. _subscribers, subscriber];
            if (_stop is null)
            {
                _stop = new CancellationTokenSource();
                var (before, stop) = (_listening, _stop.Token);
                // The connection outlives whoever subscribes: nothing of a trace or a transaction belongs to it.
                using (ExecutionContext.SuppressFlow())
                {
                    _listening = Task.Run(() => ListenAsync(before, stop), CancellationToken.None);
                }
            }

            return new Subscription(this, subscriber);
        }
    }

    public async ValueTask DisposeAsync()
    {
        lock (_lock)
        {
            _isDisposed = true;
            _subscribers = [];
            Stop();
        }

        await _listening.ConfigureAwait(false);
    }

    private void Unsubscribe(Action<string?> subscriber)
    {
        lock (_lock)
        {
            _subscribers = [.. _subscribers.Where(other => other != subscriber)];
            if (_subscribers.Length == 0)
            {
                Stop();
            }
        }
    }

    private void Stop()
    {
        _stop?.Cancel();
        _stop?.Dispose();
        _stop = null;
    }

    private async Task ListenAsync(Task before, CancellationToken stop)
    {
        await before.ConfigureAwait(false);
        var failures = 0;
        while (!stop.IsCancellationRequested)
        {
            try
            {
                await using var connection = await dataSource.OpenConnectionAsync(stop).ConfigureAwait(false);
                connection.Notification += OnNotification;
                try
                {
                    await HearAsync(connection, () => failures = 0, stop).ConfigureAwait(false);
                }
                finally
                {
                    connection.Notification -= OnNotification;
                    await UnlistenAsync(connection).ConfigureAwait(false);
                }
            }
            catch (Exception e) when (!stop.IsCancellationRequested)
            {
                LogNotHeard(e, e.Message);
                await Task.Delay(Backoff.Wait(++failures, _minBackoff, _maxBackoff, randomizer()), timeProvider, stop)
                    .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
            catch (Exception)
            {
                return;
            }
        }
    }

    private async Task HearAsync(NpgsqlConnection connection, Action onListening, CancellationToken stop)
    {
        await using var listen = connection.CreateCommand();
        listen.CommandText = $"LISTEN {channel.Name}";
        await listen.ExecuteNonQueryAsync(stop).ConfigureAwait(false);
        onListening();
        LogListening(channel.Name);
        Raise(null);
        while (true)
        {
            using var keepAlive = new CancellationTokenSource(_keepAlive, timeProvider);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(stop, keepAlive.Token);
            try
            {
                await connection.WaitAsync(either.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (!stop.IsCancellationRequested)
            {
                // A connection that nobody answers on any more is found out by asking.
                await listen.ExecuteNonQueryAsync(stop).ConfigureAwait(false);
            }
        }
    }

    /// <summary>The connection goes back to the user's pool, which may keep it as it is for long.</summary>
    private static async Task UnlistenAsync(NpgsqlConnection connection)
    {
        if (connection.State == ConnectionState.Open)
        {
            await using var command = connection.CreateCommand();
            command.CommandText = "UNLISTEN *";
            await command.ExecuteNonQueryAsync(CancellationToken.None).ConfigureAwait(false);
        }
    }

    private void OnNotification(object sender, NpgsqlNotificationEventArgs notification)
    {
        if (notification.Channel == channel.Name && channel.ChangedByOther(notification.Payload) is { } queue)
        {
            Raise(queue);
        }
    }

    private void Raise(string? queue)
    {
        foreach (var subscriber in _subscribers)
        {
            try
            {
                subscriber(queue);
            }
            catch (Exception e)
            {
                LogSubscriberFailed(e, e.Message);
            }
        }
    }

    private sealed class Subscription(PostgreSqlListener listener, Action<string?> subscriber) : IDisposable
    {
        public void Dispose() => listener.Unsubscribe(subscriber);
    }
}
