using System.Collections.Concurrent;
using System.Net;
using BgSync.Http.TestApp;

namespace BgSync.Http.Testing.Trials;

/// <summary>
/// A counting server that refuses until it is opened. The first arrival of each sender is answered, so that it then sends side by side;
/// after that the replies to one sender are held back, and to whoever sends the same again.
/// </summary>
internal sealed class HoldingServer : IAsyncDisposable
{
    private readonly CountingServer _server;
    private readonly string _victim;
    private readonly ConcurrentDictionary<string, bool> _senders = new();
    private readonly ConcurrentDictionary<Item, bool> _inFlight = new();
    private readonly ConcurrentDictionary<Arrival, TaskCompletionSource> _held = new();
    private volatile bool _holds = true;

    public HoldingServer(string victim)
    {
        _victim = victim;
        _server = new CountingServer(new IPEndPoint(IPAddress.Loopback, Tool.Demo.ReopenablePort.Pick())) { Answering = HoldAsync };
    }

    public string Address => _server.Address.AbsoluteUri;

    public IReadOnlyCollection<Arrival> Arrivals => _server.Arrivals;

    /// <summary>Whose replies are held back now.</summary>
    public IReadOnlyCollection<Arrival> Held => [.. _held.Keys];

    public Task OpenAsync() => _server.OpenAsync();

    /// <summary>Sends the replies to a sender that are held back.</summary>
    public void Answer(string sender)
    {
        foreach (var (arrival, reply) in _held.Where(held => held.Key.Sender == sender))
        {
            _held.TryRemove(arrival, out _);
            reply.TrySetResult();
        }
    }

    /// <summary>Holds no reply back from now on.</summary>
    public void AnswerAll()
    {
        _holds = false;
        foreach (var sender in _senders.Keys)
        {
            Answer(sender);
        }
    }

    public ValueTask DisposeAsync()
    {
        AnswerAll();
        return _server.DisposeAsync();
    }

    private Task HoldAsync(Arrival arrival)
    {
        if (_senders.TryAdd(arrival.Sender, true) || !_holds)
        {
            return Task.CompletedTask;
        }

        if (arrival.Sender == _victim)
        {
            _inFlight.TryAdd(arrival.Item, true);
        }
        else if (!_inFlight.ContainsKey(arrival.Item))
        {
            return Task.CompletedTask;
        }

        var reply = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _held[arrival] = reply;
        if (!_holds)
        {
            reply.TrySetResult();
        }

        return reply.Task;
    }
}
