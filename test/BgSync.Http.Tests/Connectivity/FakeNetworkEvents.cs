using BgSync.Http.Connectivity;

namespace BgSync.Http.Tests.Connectivity;

/// <summary>Events raised by the test: each handler in the context in which it subscribed, as the real ones.</summary>
internal sealed class FakeNetworkEvents : INetworkEvents
{
    private readonly Dictionary<Action<bool>, ExecutionContext?> _availabilityHandlers = [];
    private readonly Dictionary<Action, ExecutionContext?> _addressHandlers = [];

    public bool SupportsAvailabilityChanged { get; init; } = true;

    public bool SupportsAddressChanged { get; init; } = true;

    public int HandlerCount => _availabilityHandlers.Count + _addressHandlers.Count;

    public Action OnAvailabilityChanged(Action<bool> handler) =>
        SupportsAvailabilityChanged ? Listen(_availabilityHandlers, handler) : throw new PlatformNotSupportedException();

    public Action OnAddressChanged(Action handler) =>
        SupportsAddressChanged ? Listen(_addressHandlers, handler) : throw new PlatformNotSupportedException();

    public void ChangeAvailability(bool available) => Raise(_availabilityHandlers, handler => handler(available));

    public void ChangeAddress() => Raise(_addressHandlers, handler => handler());

    private static Action Listen<T>(Dictionary<T, ExecutionContext?> handlers, T handler)
        where T : Delegate
    {
        handlers.Add(handler, ExecutionContext.Capture());
        return () => handlers.Remove(handler);
    }

    private static void Raise<T>(Dictionary<T, ExecutionContext?> handlers, Action<T> call)
        where T : Delegate
    {
        foreach (var (handler, context) in handlers.ToArray())
        {
            if (context is null)
            {
                call(handler);
            }
            else
            {
                ExecutionContext.Run(context, _ => call(handler), null);
            }
        }
    }
}
