using System.Diagnostics;
using System.Net.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace BgSync.Http.TestApp;

/// <summary>
/// An application with a queue. It says READY, and then for each item what its caller was told: DELIVERED, QUEUED or FAILED, the
/// second with when it was posted and when it was told, by the clock that all processes of a machine share.
/// On standard input: <c>post LANE ID</c>; <c>count</c>, answered by LIVE and DEAD; <c>drain</c>, to produce nothing more and say
/// EMPTY when the queue is. It ends with its standard input, so that it does not outlive a trial.
/// </summary>
internal sealed class ItemApplication(
    IHttpClientFactory clients, [FromKeyedServices(ItemApplication.QueueName)] IBackgroundSyncQueue queue)
{
    private const string QueueName = "items";
    private static readonly TimeSpan _pause = TimeSpan.FromMilliseconds(5);

    public static async Task RunAsync(
        Action<IServiceCollection> addStore, Uri server, string sender, int producers, Action<BackgroundSyncOptions> configure)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.Services.AddHttpClient(QueueName, client => client.BaseAddress = server)
            .AddBackgroundSync(QueueName, sync =>
            {
                sync.LaneBy(request => Item.Parse(request.RequestUri!.AbsolutePath).Lane);
                configure(sync);
            })
            .AddHttpMessageHandler(() => new SenderHandler(sender))
            // Every name is the server: an origin of its own for each lane lets all lanes be in flight before any is answered.
            .ConfigurePrimaryHttpMessageHandler(() => new SocketsHttpHandler
            {
                ConnectCallback = async (_, token) =>
                {
                    var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
                    try
                    {
                        await socket.ConnectAsync(server.Host, server.Port, token);
                        return new NetworkStream(socket, ownsSocket: true);
                    }
                    catch
                    {
                        socket.Dispose();
                        throw;
                    }
                },
            });
        addStore(builder.Services);
        builder.Services.AddSingleton<IBackgroundSyncObserver, LeaseWatch>();
        builder.Services.AddSingleton<ItemApplication>();

        using var host = builder.Build();
        await host.StartAsync();
        await host.Services.GetRequiredService<ItemApplication>().RunAsync(sender, producers);
        await host.StopAsync();
    }

    private async Task RunAsync(string sender, int producers)
    {
        Console.Out.WriteLine("READY");
        using var enough = new CancellationTokenSource();
        var producing = Task.WhenAll(Enumerable.Range(0, producers).Select(lane =>
            Task.Run(() => ProduceAsync($"lane{lane}", sender, enough.Token))));

        while (await Console.In.ReadLineAsync() is { } line)
        {
            switch (line.Split(' '))
            {
                case ["post", string lane, string id]:
                    _ = PostAsync(new Item(lane, id), host: $"{lane}.test");
                    break;
                case ["count"]:
                    var counts = await queue.CountAsync();
                    Console.Out.WriteLine($"LIVE {counts.Pending} DEAD {counts.DeadLettered}");
                    break;
                case ["drain"]:
                    await enough.CancelAsync();
                    await producing;
                    await WaitForEmptyAsync();
                    Console.Out.WriteLine("EMPTY");
                    break;
            }
        }

        await enough.CancelAsync();
        await producing;
    }

    private async Task ProduceAsync(string lane, string sender, CancellationToken enough)
    {
        for (int number = 0; !enough.IsCancellationRequested; number++)
        {
            await PostAsync(new Item(lane, $"{sender}-{lane}-{number}"));
            await Task.Delay(_pause, CancellationToken.None);
        }
    }

    private async Task PostAsync(Item item, string? host = null)
    {
        var began = Stopwatch.GetTimestamp();
        try
        {
            using var client = clients.CreateClient(QueueName);
            using var body = new StringContent(item.Body);
            var uri = new Uri(client.BaseAddress!, item.Uri);
            using var response = await client.PostAsync(host is null ? uri : new UriBuilder(uri) { Host = host }.Uri, body);
            Console.Out.WriteLine(response.IsSuccessStatusCode ? $"DELIVERED {item.Id}" : $"FAILED {item.Id} {response.StatusCode}");
        }
        catch (RequestQueuedException)
        {
            Console.Out.WriteLine($"QUEUED {item.Lane} {item.Id} {began} {Stopwatch.GetTimestamp()}");
        }
        catch (Exception failure)
        {
            Console.Out.WriteLine($"FAILED {item.Id} {failure.GetType().Name}: {failure.GetNotQueuedReason()}");
            await Console.Error.WriteLineAsync(failure.ToString());
        }
    }

    private async Task WaitForEmptyAsync()
    {
        while (!await IsEmptyAsync())
        {
            await Task.Delay(_pause);
        }
    }

    private async Task<bool> IsEmptyAsync()
    {
        try
        {
            return (await queue.CountAsync()).Pending == 0;
        }
        catch (QueueStoreException)
        {
            // A server that has just come back has cut the connections.
            return false;
        }
    }
}
