namespace BgSync.Http;

/// <summary>An entry that was answered, for <see cref="BackgroundSyncOptions.OnReplayed"/>.</summary>
public sealed class ReplayedContext
{
    internal ReplayedContext(QueuedEntry entry, HttpResponseMessage response, IServiceProvider services)
    {
        Entry = entry;
        Response = response;
        Services = services;
    }

    /// <summary>The entry as it is stored.</summary>
    public QueuedEntry Entry { get; }

    /// <summary>The response; its body can be read until the call returns.</summary>
    public HttpResponseMessage Response { get; }

    /// <summary>The application's services, in a scope that ends with the call.</summary>
    public IServiceProvider Services { get; }
}
