using BgSync.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Http;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Adds queues to HTTP clients.</summary>
public static class BackgroundSyncHttpClientBuilderExtensions
{
    /// <summary>
    /// Puts a queue into the pipeline of a client: every POST, PUT, PATCH and DELETE that cannot be sent is kept on disk and sent
    /// when the network is back.
    /// </summary>
    /// <param name="builder">The client. Handlers added before are outside: they see the caller's request once; those added after
    /// are inside and run again on every replay, so that a handler which adds a token belongs there.</param>
    /// <param name="queueName">The queue's name: 1 to 64 letters, digits, '-', '_' or '.'; one of its own for each client.</param>
    /// <exception cref="ArgumentException">The name is not one of a queue.</exception>
    /// <exception cref="InvalidOperationException">
    /// There is a queue of this name already, the builder is the defaults of all clients, or the client is one of gRPC.
    /// </exception>
    public static IHttpClientBuilder AddBackgroundSync(this IHttpClientBuilder builder, string queueName) =>
        builder.AddBackgroundSync(queueName, static _ => { });

    /// <inheritdoc cref="AddBackgroundSync(IHttpClientBuilder, string)"/>
    /// <param name="builder">The client.</param>
    /// <param name="queueName">The queue's name.</param>
    /// <param name="section">The options; <c>Routes</c> is a list of texts such as <c>POST /albums/{album}/photos</c>.</param>
    public static IHttpClientBuilder AddBackgroundSync(this IHttpClientBuilder builder, string queueName, IConfigurationSection section)
    {
        ArgumentNullException.ThrowIfNull(section);
        return builder.AddBackgroundSync(queueName, options =>
        {
            section.Bind(options);
            options.Routes.AddFrom(section.GetSection(nameof(options.Routes)));
        });
    }

    /// <inheritdoc cref="AddBackgroundSync(IHttpClientBuilder, string)"/>
    /// <param name="builder">The client.</param>
    /// <param name="queueName">The queue's name.</param>
    /// <param name="configure">Sets the options.</param>
    public static IHttpClientBuilder AddBackgroundSync(
        this IHttpClientBuilder builder, string queueName, Action<BackgroundSyncOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentNullException.ThrowIfNull(configure);
        QueueName.Validate(queueName);
        if (builder.Name is not { } client)
        {
            throw new InvalidOperationException(
                "A queue belongs to one client. Call AddBackgroundSync on AddHttpClient(…), not on the defaults of all clients.");
        }

        var services = builder.Services;
        GrpcRefusal.ThrowIfGrpcClient(services, client);
        if (services.AddBackgroundSyncCore().Add(queueName, client))
        {
            // Once a client: a second time would take over what the first has lifted.
            services.AddKeyedSingleton<ClientTimeout>(client);
            services.AddOptions<HttpClientFactoryOptions>(client).PostConfigure<IServiceProvider>((options, provider) =>
                options.HttpClientActions.Add(provider.GetRequiredKeyedService<ClientTimeout>(client).TakeOver));
        }

        services.AddOptions<BackgroundSyncOptions>(queueName).Configure(configure).ValidateOnStart();
        services.AddQueue(queueName, client);
        return builder.AddHttpMessageHandler(provider => QueueServices.CreateHandler(provider, queueName, client));
    }

    private static void AddFrom(this RouteCollection routes, IConfigurationSection section)
    {
        if (section.Value is { Length: > 0 })
        {
            throw new FormatException($"'{section.Path}' is one text; write a list of texts, such as [\"POST /orders\"].");
        }

        foreach (var route in section.GetChildren())
        {
            try
            {
                routes.Add(route.Value ?? throw new FormatException("a route is a text; write a text such as \"POST /orders\"."));
            }
            catch (FormatException failure)
            {
                throw new FormatException($"'{route.Path}': {failure.Message}", failure);
            }
        }
    }
}
