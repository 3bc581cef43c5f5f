using BgSync.Http.Connectivity;
using BgSync.Http.Diagnostics;
using BgSync.Http.Events;
using BgSync.Http.Queue;
using BgSync.Http.Replay;
using Microsoft.Extensions.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>The wiring of a queue's replay: the loop has lanes dispatched, the runner of a lane makes attempts, the settler writes.</summary>
internal static class ReplayServices
{
    public static ReplayLoop CreateLoop(IServiceProvider provider, QueueContext queue)
    {
        var circuits = provider.GetRequiredService<OriginCircuits>();
        var scopes = provider.GetRequiredService<IServiceScopeFactory>();
        var logger = new SafeLogger(provider.GetRequiredService<ILoggerFactory>().CreateLogger("BgSync.Http.Replay"));

        var pipeline = new ReplayPipeline(
            queue,
            provider.GetRequiredService<IHttpMessageHandlerFactory>(),
            provider.GetRequiredService<IOptionsMonitor<HttpClientFactoryOptions>>(),
            scopes);
        var hooks = new ReplayHooks(queue, scopes, logger);
        var attempt = new ReplayAttempt(queue, pipeline, circuits, hooks, provider.GetRequiredService<EntryWaiters>(), logger);

        var settler = new Settler(queue, logger);
        var runner = new LaneRunner(queue, attempt, settler, logger);
        var lanes = new LaneDispatcher(queue, circuits, pipeline, runner);

        var housekeeper = new QueueHousekeeper(queue, settler);
        var sync = new SyncHook(queue, scopes, logger);
        return new ReplayLoop(queue, circuits, lanes, settler, housekeeper, sync, logger);
    }
}
