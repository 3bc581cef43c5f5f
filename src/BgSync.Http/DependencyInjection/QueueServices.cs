using BgSync.Http;
using BgSync.Http.Diagnostics;
using BgSync.Http.Events;
using BgSync.Http.Queue;
using BgSync.Http.Replay;
using BgSync.Http.Routing;
using BgSync.Http.Storage;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Puts together the parts of one queue.</summary>
internal static class QueueServices
{
    /// <summary>Adds the parts of a queue that live as long as the application, under the queue's name.</summary>
    /// <remarks>From the client to the store: handler, queue, writer; and from the store to the client: the loop.</remarks>
    public static void AddQueue(this IServiceCollection services, string queue, string client)
    {
        services.AddKeyedSingleton(queue, (provider, _) => CreateContext(provider, queue, client));
        services.AddKeyedSingleton(queue, (provider, _) => CreateRoutes(provider, queue));
        services.AddKeyedSingleton(queue, static (provider, key) => CreateQueue(provider, key));
        services.AddKeyedSingleton(queue, static (provider, key) => new OvertakingGuard(
            provider.GetRequiredKeyedService<QueueContext>(key),
            provider.GetRequiredKeyedService<ReplayLoop>(key)));
        services.AddKeyedSingleton(queue, static (provider, key) => ReplayServices.CreateLoop(
            provider, provider.GetRequiredKeyedService<QueueContext>(key)));
        services.AddKeyedSingleton<IBackgroundSyncQueue>(
            queue, static (provider, key) => provider.GetRequiredKeyedService<BackgroundSyncQueue>(key));
    }

    /// <summary>Makes the handler of a queue; the factory of HTTP clients asks for a new one every few minutes.</summary>
    public static BackgroundSyncHandler CreateHandler(IServiceProvider provider, string queue, string client) => new(
        provider.GetRequiredKeyedService<QueueContext>(queue),
        provider.GetRequiredKeyedService<BackgroundSyncQueue>(queue),
        provider.GetRequiredKeyedService<OvertakingGuard>(queue),
        provider.GetRequiredKeyedService<ReplayLoop>(queue),
        CreateWatch(provider, queue, client),
        provider.GetRequiredKeyedService<ClientTimeout>(client));

    private static QueueContext CreateContext(IServiceProvider provider, string queue, string client)
    {
        var options = OptionsOf(provider, queue);
        if (options.OnDeadLettered is { } onDeadLettered)
        {
            provider.GetRequiredService<EntryObservers>().TellOfDeadLetters(queue, onDeadLettered);
        }

        return new(
            queue,
            client,
            options,
            provider.GetRequiredService<IQueueStore>(),
            provider.GetRequiredService<EntryEvents>(),
            provider.GetRequiredService<SteadyTime>(),
            AttemptTimeoutOf(provider, queue, client));
    }

    private static BackgroundSyncQueue CreateQueue(IServiceProvider provider, object? queue)
    {
        var context = provider.GetRequiredKeyedService<QueueContext>(queue);
        return new(
            context,
            new EntryWriter(context, new Coalescer(context)),
            provider.GetRequiredKeyedService<ReplayLoop>(queue),
            provider.GetRequiredService<EntryEventFeed>(),
            provider.GetRequiredService<EntryWaiters>());
    }

    private static RouteTable CreateRoutes(IServiceProvider provider, string queue)
    {
        var events = provider.GetRequiredService<EntryEvents>();
        return RouteTable.Compile(
            OptionsOf(provider, queue).Routes,
            provider,
            failure => events.CallbackFailed(queue, "a route", "it matches nothing", failure));
    }

    private static RequestWatch CreateWatch(IServiceProvider provider, string queue, string client) => new(
        queue,
        [.. provider.GetRequiredService<QueueRegistrations>().QueuesOf(client)
            .Select(name => KeyValuePair.Create(name, provider.GetRequiredKeyedService<RouteTable>(name)))]);

    private static BackgroundSyncOptions OptionsOf(IServiceProvider provider, string queue) =>
        provider.GetRequiredService<IOptionsMonitor<BackgroundSyncOptions>>().Get(queue);

    private static Func<TimeSpan> AttemptTimeoutOf(IServiceProvider provider, string queue, string client)
    {
        if (OptionsOf(provider, queue).AttemptTimeout is { } configured)
        {
            return () => configured;
        }

        var timeout = provider.GetRequiredKeyedService<ClientTimeout>(client);
        return () => timeout.Value;
    }
}
