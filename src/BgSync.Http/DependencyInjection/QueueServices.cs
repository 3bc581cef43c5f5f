using BgSync.Http;
using BgSync.Http.Queue;
using BgSync.Http.Replay;
using BgSync.Http.Routing;
using BgSync.Http.Storage;
using Microsoft.Extensions.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Puts together what one queue is made of.</summary>
internal static class QueueServices
{
    /// <summary>Adds the parts of a queue that live as long as the application, under the queue's name.</summary>
    public static void AddQueue(this IServiceCollection services, string queue, string client)
    {
        services.AddKeyedSingleton(queue, (provider, _) => CreateLoop(provider, queue, client));
        services.AddKeyedSingleton(queue, (provider, _) => RouteTable.Compile(OptionsOf(provider, queue).Routes, provider));
        services.AddKeyedSingleton(queue, (provider, _) => CreateQueue(provider, queue));
        services.AddKeyedSingleton(queue, (provider, _) => new OvertakingGuard(
            queue,
            OptionsOf(provider, queue),
            provider.GetRequiredService<IQueueStore>(),
            provider.GetRequiredKeyedService<ReplayLoop>(queue),
            provider.GetRequiredService<TimeProvider>()));
        services.AddKeyedSingleton<IBackgroundSyncQueue>(
            queue, static (provider, key) => provider.GetRequiredKeyedService<BackgroundSyncQueue>(key));
    }

    /// <summary>Makes the handler of a queue; the factory of HTTP clients asks for a new one every few minutes.</summary>
    public static BackgroundSyncHandler CreateHandler(IServiceProvider provider, string queue, string client) => new(
        provider.GetRequiredKeyedService<BackgroundSyncQueue>(queue),
        [.. provider.GetRequiredService<QueueRegistrations>().QueuesOf(client)],
        provider.GetRequiredKeyedService<RouteTable>(queue),
        provider.GetRequiredKeyedService<OvertakingGuard>(queue),
        provider.GetRequiredKeyedService<ReplayLoop>(queue),
        provider.GetRequiredService<EntryEvents>(),
        AttemptTimeoutOf(provider, queue, client),
        provider.GetRequiredService<TimeProvider>());

    private static BackgroundSyncQueue CreateQueue(IServiceProvider provider, string queue)
    {
        var options = OptionsOf(provider, queue);
        var store = provider.GetRequiredService<IQueueStore>();
        var events = provider.GetRequiredService<EntryEvents>();
        var timeProvider = provider.GetRequiredService<TimeProvider>();
        var intake = new EntryIntake(queue, options, store, events, timeProvider);
        var coalescer = new Coalescer(
            queue, options, store, intake, events, timeProvider, provider.GetRequiredService<ILogger<Coalescer>>());
        return new BackgroundSyncQueue(
            queue,
            options,
            store,
            intake,
            coalescer,
            provider.GetRequiredKeyedService<ReplayLoop>(queue),
            events,
            provider.GetRequiredService<EntryEventFeed>(),
            provider.GetRequiredService<EntryWaiters>(),
            timeProvider);
    }

    private static ReplayLoop CreateLoop(IServiceProvider provider, string queue, string client)
    {
        var options = OptionsOf(provider, queue);
        var store = provider.GetRequiredService<IQueueStore>();
        var gates = provider.GetRequiredService<OriginCircuits>();
        var events = provider.GetRequiredService<EntryEvents>();
        var timeProvider = provider.GetRequiredService<TimeProvider>();
        var tally = new ReplayCounters();
        var pause = new CredentialsPause(queue, store, events, timeProvider);
        var endless = new TriggerOnlyBackoff(queue, options, store, gates);
        var pipeline = new ReplayPipeline(
            queue,
            client,
            options.Capture.SecretHeaders,
            provider.GetRequiredService<IHttpMessageHandlerFactory>(),
            provider.GetRequiredService<IOptionsMonitor<HttpClientFactoryOptions>>());
        var attemptTimeout = AttemptTimeoutOf(provider, queue, client);
        var scopes = provider.GetRequiredService<IServiceScopeFactory>();
        var hooks = new ReplayHooks(options, scopes, attemptTimeout, timeProvider, provider.GetRequiredService<ILogger<ReplayHooks>>());
        var sync = new SyncHook(queue, options, scopes, timeProvider, provider.GetRequiredService<ILogger<SyncHook>>());
        var keeper = new ResponseKeeper(options, attemptTimeout, timeProvider);
        var waiters = provider.GetRequiredService<EntryWaiters>();
        var prerequisites = new PrerequisiteCheck(store);
        var sender = new ReplaySender(options, store, pipeline, gates, prerequisites, hooks, keeper, waiters, attemptTimeout, timeProvider);
        var writer = new StoreRetry(
            queue, options, events, timeProvider, provider.GetRequiredService<ILogger<StoreRetry>>());
        var settler = new EntrySettler(queue, store, writer, pause, endless, events, tally);
        var replayer = new RunReplayer(
            queue, options, store, sender, settler, writer, events, tally, timeProvider,
            provider.GetRequiredService<ILogger<RunReplayer>>());
        var leases = new LaneLeases(queue, options, store);
        var lanes = new LaneReplayer(queue, store, leases, replayer, pause);
        var housekeeper = new QueueHousekeeper(queue, options, store, events, tally, timeProvider);
        return new ReplayLoop(
            queue,
            options,
            store,
            gates,
            leases,
            replayer,
            lanes,
            housekeeper,
            pause,
            endless,
            sync,
            tally,
            timeProvider,
            provider.GetRequiredService<ILogger<ReplayLoop>>());
    }

    private static BackgroundSyncOptions OptionsOf(IServiceProvider provider, string queue) =>
        provider.GetRequiredService<IOptionsMonitor<BackgroundSyncOptions>>().Get(queue);

    private static Func<TimeSpan> AttemptTimeoutOf(IServiceProvider provider, string queue, string client)
    {
        if (OptionsOf(provider, queue).AttemptTimeout is { } configured)
        {
            return () => configured;
        }

        var timeouts = provider.GetRequiredService<ClientTimeouts>();
        return () => timeouts.Of(client);
    }
}
