using System.CommandLine;
using System.Text.Json;
using BgSync.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace BgSync.Tool.Demo;

/// <summary>
/// The application of the demo, a process of its own: it uploads what it is told to, and leaves the rest to the queue. It ends
/// with its standard input, so that it does not outlive the demo.
/// </summary>
internal sealed class DemoApplication(UploadClient client, [FromKeyedServices(DemoApplication.QueueName)] IBackgroundSyncQueue queue)
{
    public const string QueueName = "uploads";
    public const string CommandName = "demo-application";

    public static Command CreateCommand()
    {
        var server = new Argument<Uri>("server") { CustomParser = parsed => new Uri(parsed.Tokens[0].Value) };
        var store = new Argument<string>("store");
        var command = new Command(CommandName) { server, store };
        command.Hidden = true;
        command.SetAction((parsed, cancellationToken) =>
            RunAsync(parsed.GetRequiredValue(server), parsed.GetRequiredValue(store), cancellationToken));
        return command;
    }

    private static async Task<int> RunAsync(Uri server, string store, CancellationToken cancellationToken)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.Services.AddHttpClient<UploadClient>(client => client.BaseAddress = server)
            .AddBackgroundSync(QueueName, sync =>
            {
                sync.LaneBy(LaneOf);
                // A demo is looked at: retries come by the second, not by the minute.
                sync.Retry.MinBackoff = TimeSpan.FromMilliseconds(500);
                sync.Retry.MaxBackoff = TimeSpan.FromSeconds(2);
                sync.Replay.Interval = TimeSpan.FromSeconds(1);
            });
        builder.Services.AddBackgroundSyncSqlite(store);
        builder.Services.AddTransient<DemoApplication>();

        using var host = builder.Build();
        await host.StartAsync(cancellationToken);
        await host.Services.GetRequiredService<DemoApplication>().ObeyAsync(cancellationToken);
        await host.StopAsync(CancellationToken.None);
        return 0;
    }

    /// <summary>Orders are one lane, and each album is one: <c>/orders</c> and <c>/albums/{album}/photos</c>.</summary>
    private static string LaneOf(HttpRequestMessage request)
    {
        var segments = request.RequestUri!.AbsolutePath.Split('/', StringSplitOptions.RemoveEmptyEntries);
        return segments is ["albums", string album, ..] ? album : segments[0];
    }

    private async Task ObeyAsync(CancellationToken cancellationToken)
    {
        Report(new ApplicationReport.Started(Environment.ProcessId));
        while (await Console.In.ReadLineAsync(cancellationToken) is { } line)
        {
            Report(JsonSerializer.Deserialize(line, DemoJson.Default.ApplicationCommand) switch
            {
                ApplicationCommand.PlaceOrder command =>
                    await SendAsync(client.PlaceOrderAsync(command.Order, cancellationToken)),
                ApplicationCommand.UploadPhoto command =>
                    await SendAsync(client.UploadPhotoAsync(command.Album, command.File, cancellationToken)),
                ApplicationCommand.ListEntries => await ListAsync(cancellationToken),
                _ => throw new InvalidOperationException($"There is no such command: {line}"),
            });
        }
    }

    private static async Task<ApplicationReport> SendAsync(Task<HttpResponseMessage> sending)
    {
        try
        {
            using var response = await sending;
            return new ApplicationReport.Answered((int)response.StatusCode);
        }
        catch (RequestQueuedException queued)
        {
            return new ApplicationReport.Queued(queued.EntryId);
        }
        catch (HttpRequestException failure)
        {
            return new ApplicationReport.Failed($"{failure.Message} {failure.GetNotQueuedReason()}");
        }
    }

    private async Task<ApplicationReport> ListAsync(CancellationToken cancellationToken)
    {
        List<EntryRow> waiting = [];
        await foreach (var entry in queue.GetAllAsync(cancellationToken))
        {
            waiting.Add(EntryRow.Of(entry));
        }

        var counts = await queue.CountAsync(cancellationToken);
        return new ApplicationReport.Entries(waiting, counts.DeadLettered);
    }

    private static void Report(ApplicationReport report) =>
        Console.Out.WriteLine(JsonSerializer.Serialize(report, DemoJson.Default.ApplicationReport));
}
