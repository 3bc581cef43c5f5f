using System.Globalization;
using System.Net;
using Microsoft.Extensions.DependencyInjection;

namespace BgSync.Http.TestApp;

/// <summary>An ordinary application, and a server for it, as processes that a trial can kill and put into a network of their own.</summary>
public static class ItemCommands
{
    /// <param name="args">The command line.</param>
    /// <param name="storeOf">Reads the store of the command line; what it returns adds it.</param>
    /// <returns>The exit code.</returns>
    public static async Task<int> RunAsync(string[] args, Func<string, Action<IServiceCollection>> storeOf)
    {
        switch (args)
        {
            case ["serve", string endPoint]:
                await ServeMode.RunAsync(IPEndPoint.Parse(endPoint));
                return 0;

            case ["upload", string store, string server, string sender, string attemptSeconds]:
                await ItemApplication.RunAsync(storeOf(store), new Uri(server), sender, producers: 0, sync =>
                    sync.AttemptTimeout = Seconds(attemptSeconds));
                return 0;

            case ["post", string store, string server, string sender, string writeAhead]:
                await ItemApplication.RunAsync(storeOf(store), new Uri(server), sender, producers: 0, sync =>
                {
                    sync.WriteAhead = bool.Parse(writeAhead);
                    WaitBriefly(sync);
                });
                return 0;

            case ["queue-and-replay", string store, string server, string sender, string producers, string leaseSeconds]:
                await ItemApplication.RunAsync(
                    storeOf(store), new Uri(server), sender, int.Parse(producers, CultureInfo.InvariantCulture), sync =>
                    {
                        sync.Replay.LeaseDuration = Seconds(leaseSeconds);
                        WaitBriefly(sync);
                    });
                return 0;

            default:
                await Console.Error.WriteLineAsync("""
                    serve ADDRESS:PORT                                              counts what arrives
                    upload STORE SERVER SENDER ATTEMPT-SECONDS                      posts what it is told to, with the library's waits
                    post STORE SERVER SENDER WRITE-AHEAD                            posts what it is told to, written down first or not
                    queue-and-replay STORE SERVER SENDER PRODUCERS LEASE-SECONDS    posts without a pause, each producer to a lane
                    STORE is sqlite:PATH, postgres:CONNECTION or, in the application that has LiteDB, litedb:CONNECTION
                    """);
                return 2;
        }
    }

    private static void WaitBriefly(BackgroundSyncOptions sync)
    {
        sync.Retry.MinBackoff = TimeSpan.FromMilliseconds(20);
        sync.Retry.MaxBackoff = TimeSpan.FromMilliseconds(200);
        sync.Replay.Interval = TimeSpan.FromMilliseconds(100);
        sync.Replay.TriggerJitter = TimeSpan.FromMilliseconds(20);
    }

    private static TimeSpan Seconds(string number) => TimeSpan.FromSeconds(double.Parse(number, CultureInfo.InvariantCulture));
}
