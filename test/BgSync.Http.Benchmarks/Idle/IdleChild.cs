using System.CommandLine;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace BgSync.Http.Benchmarks.Idle;

/// <summary>An application that does nothing, with an empty queue or without one.</summary>
internal static class IdleChild
{
    public const string Name = "idle";

    public static Command CreateCommand()
    {
        var folder = new Argument<string>("folder");
        var hasQueue = new Argument<bool>("has-queue");
        Command command = new(Name) { folder, hasQueue };
        command.SetAction(result => RunAsync(result.GetValue(folder)!, result.GetValue(hasQueue)));
        return command;
    }

    private static async Task RunAsync(string folder, bool hasQueue)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        var client = builder.Services.AddHttpClient("api", static client => client.BaseAddress = new Uri("https://api.example.com"));
        if (hasQueue)
        {
            client.AddBackgroundSync("orders");
            builder.Services.AddBackgroundSyncSqlite(Path.Combine(folder, "queues.db"));
        }

        using var host = builder.Build();
        await host.StartAsync();
        Console.Out.WriteLine("ready");
        await Console.In.ReadLineAsync();
        await host.StopAsync();
    }
}
