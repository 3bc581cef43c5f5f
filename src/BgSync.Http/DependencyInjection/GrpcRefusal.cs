using Microsoft.Extensions.Http;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Refuses a queue for gRPC, which it could not serve and would seem to.</summary>
internal static class GrpcRefusal
{
    private const string Reason =
        "cannot have a queue: gRPC connects by itself, before a handler is asked, and its status stands in the trailers of a response "
        + "with status 200. Leave AddBackgroundSync away from it, and retry its calls with a ServiceConfig, or send what must arrive "
        + "over HTTP with a client of its own.";

    private const string ContentType = "Content-Type";
    private const string GrpcContentType = "application/grpc";

    /// <summary>
    /// The class of Grpc.Net.ClientFactory whose methods configure a client, known by name so that the library needs no reference to it.
    /// </summary>
    private const string GrpcExtensions = "Microsoft.Extensions.DependencyInjection.GrpcClientServiceExtensions";

    /// <summary>Checks a client while services are registered.</summary>
    /// <exception cref="InvalidOperationException">AddGrpcClient has added the client.</exception>
    public static void ThrowIfGrpcClient(IServiceCollection services, string client)
    {
        foreach (var service in services)
        {
            if (service is { IsKeyedService: false, ImplementationInstance: { } instance })
            {
                ThrowIfGrpcClient(instance, client);
            }
        }
    }

    /// <summary>Checks a client when its pipeline is built: AddGrpcClient may have been called after AddBackgroundSync.</summary>
    /// <exception cref="InvalidOperationException">AddGrpcClient has added the client.</exception>
    public static void ThrowIfGrpcClient(IEnumerable<IConfigureOptions<HttpClientFactoryOptions>> clients, string client)
    {
        foreach (var configure in clients)
        {
            ThrowIfGrpcClient(configure, client);
        }
    }

    /// <summary>Checks a request that a queue watches: a channel that was made without AddGrpcClient is known by its requests.</summary>
    /// <exception cref="InvalidOperationException">The request is a gRPC call.</exception>
    public static void ThrowIfGrpcCall(HttpRequestMessage request, string queue)
    {
        if (request.Content is { } content
            && content.Headers.NonValidated.TryGetValues(ContentType, out var values)
            && values.ToString().StartsWith(GrpcContentType, StringComparison.OrdinalIgnoreCase))
        {
            throw new InvalidOperationException($"The client of the queue '{queue}' sends gRPC and {Reason}");
        }
    }

    private static void ThrowIfGrpcClient(object configure, string client)
    {
        if (configure is ConfigureNamedOptions<HttpClientFactoryOptions> { Action.Target: { } target } named
            && named.Name == client
            && target.GetType().FullName?.StartsWith(GrpcExtensions, StringComparison.Ordinal) == true)
        {
            throw new InvalidOperationException($"The gRPC client '{client}' {Reason}");
        }
    }
}
