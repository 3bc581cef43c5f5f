using System.Collections.Concurrent;
using BgSync.Http;
using Microsoft.Extensions.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>
/// Moves the queues of a client outside of the resilience handlers that were added before them, for all clients
/// (<c>ConfigureHttpClientDefaults</c>) for instance. A retry outside of a queue would queue one request several times, and a time-out
/// outside of it would look like the caller's cancel.
/// </summary>
/// <remarks>
/// The filter is the first of the container's, so that it acts last: when the defaults, the client and all other filters have added
/// their handlers.
/// </remarks>
internal sealed partial class ResilienceOrderFilter(
    ILogger<ResilienceOrderFilter> logger, IEnumerable<IConfigureOptions<HttpClientFactoryOptions>> clients)
    : IHttpMessageHandlerBuilderFilter
{
    /// <summary>The handlers of Microsoft.Extensions.Http.Resilience, known by name so that the library needs no reference to it.</summary>
    private const string ResilienceNamespace = "Microsoft.Extensions.Http.Resilience.";

    /// <summary>The handler of Microsoft.Extensions.Http.Polly.</summary>
    private const string PolicyHandler = "Microsoft.Extensions.Http.PolicyHttpMessageHandler";

    /// <summary>The clients whose handlers were moved: the factory builds a pipeline every few minutes.</summary>
    private readonly ConcurrentDictionary<string, bool> _told = new(StringComparer.Ordinal);

    /// <inheritdoc/>
    public Action<HttpMessageHandlerBuilder> Configure(Action<HttpMessageHandlerBuilder> next) => builder =>
    {
        next(builder);
        if (builder.AdditionalHandlers.OfType<BackgroundSyncHandler>().Any())
        {
            GrpcRefusal.ThrowIfGrpcClient(clients, builder.Name ?? "");
            Reorder(builder);
        }
    };

    private static bool IsResilience(DelegatingHandler handler)
    {
        for (var type = handler.GetType(); type is not null && type != typeof(DelegatingHandler); type = type.BaseType)
        {
            if (type.FullName is { } name && (name == PolicyHandler || name.StartsWith(ResilienceNamespace, StringComparison.Ordinal)))
            {
                return true;
            }
        }

        return false;
    }

    private void Reorder(HttpMessageHandlerBuilder builder)
    {
        var handlers = builder.AdditionalHandlers;
        var place = handlers.TakeWhile(static handler => !IsResilience(handler)).Count();
        if (place == handlers.Count)
        {
            return;
        }

        var resilience = handlers[place].GetType().Name;
        var hasMoved = false;
        for (var i = place + 1; i < handlers.Count; i++)
        {
            if (handlers[i] is BackgroundSyncHandler queue)
            {
                handlers.RemoveAt(i);
                handlers.Insert(place++, queue);
                hasMoved = true;
            }
        }

        if (hasMoved && _told.TryAdd(builder.Name ?? "", true))
        {
            LogMoved(builder.Name ?? "", resilience);
        }
    }
}
