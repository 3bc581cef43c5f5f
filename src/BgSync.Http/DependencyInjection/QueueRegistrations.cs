namespace Microsoft.Extensions.DependencyInjection;

/// <summary>The queues of a container, and the clients that they belong to. Filled while services are registered.</summary>
internal sealed class QueueRegistrations
{
    private readonly Dictionary<string, string> _clientOfQueue = new(StringComparer.Ordinal);

    /// <summary>The names of all queues.</summary>
    public IEnumerable<string> Queues => _clientOfQueue.Keys;

    /// <summary>Registers a queue.</summary>
    /// <returns>Whether it is the first one of its client.</returns>
    /// <exception cref="InvalidOperationException">There is one of that name.</exception>
    public bool Add(string queue, string client)
    {
        if (_clientOfQueue.TryGetValue(queue, out var other))
        {
            throw new InvalidOperationException(
                $"The client '{client}' cannot have a queue '{queue}': the client '{other}' has it. "
                + "Give each AddBackgroundSync a name of its own.");
        }

        var isFirst = !_clientOfQueue.ContainsValue(client);
        _clientOfQueue.Add(queue, client);
        return isFirst;
    }

    /// <summary>The client that a queue belongs to.</summary>
    public string ClientOf(string queue) => _clientOfQueue[queue];

    /// <summary>The queues of a client.</summary>
    public IEnumerable<string> QueuesOf(string client) =>
        _clientOfQueue.Where(pair => pair.Value == client).Select(pair => pair.Key);
}
