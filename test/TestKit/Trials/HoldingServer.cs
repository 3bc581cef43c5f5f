using System.Collections.Concurrent;
using System.Net;
using BgSync.Http.TestApp;

namespace TestKit.Trials;

/// <summary>
/// A counting server that refuses until it is opened. The first arrival of each sender is answered, so that it then sends side by side;
/// after that the responses to one sender are held back, and to whoever sends the same again.
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
        _server = new CountingServer(new IPEndPoint(IPAddress.Loopback, BgSync.Tool.Demo.ReopenablePort.Pick())) { Answering = HoldAsync };
    }

    public string Address => _server.Address.AbsoluteUri;

    public IReadOnlyCollection<Arrival> Arrivals => _server.Arrivals;

    /// <summary>Whose responses are held back now.</summary>
    public IReadOnlyCollection<Arrival> Held => [.. _held.Keys];

    public Task OpenAsync() => _server.OpenAsync();

    /// <summary>Sends the responses to a sender that are held back.</summary>
    public void Answer(string sender)
    {
        foreach (var (arrival, response) in _held.Where(held => held.Key.Sender == sender))
        {
            _held.TryRemove(arrival, out _);
            response.TrySetResult();
        }
    }

    /// <summary>Holds no response back from now on.</summary>
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

        var response = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _held[arrival] = response;
        if (!_holds)
        {
            response.TrySetResult();
        }

        return response.Task;
    }
}
