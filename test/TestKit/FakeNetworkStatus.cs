using BgSync.Http;

namespace TestKit;

/// <summary>A network that goes up when the test says so.</summary>
public sealed class FakeNetworkStatus : INetworkStatus
{
    private readonly List<Action<NetworkSignal>> _subscribers = [];

    public int SubscriberCount => _subscribers.Count;

    public IDisposable Subscribe(Action<NetworkSignal> onSignal)
    {
        _subscribers.Add(onSignal);
        return new Subscription(() => _subscribers.Remove(onSignal));
    }

    public void Raise(NetworkSignal signal) => _subscribers.ToList().ForEach(subscriber => subscriber(signal));

    private sealed class Subscription(Action end) : IDisposable
    {
        public void Dispose() => end();
    }
}
