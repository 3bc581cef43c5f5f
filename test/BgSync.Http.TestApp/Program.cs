using System.Globalization;
using System.Net;
using BgSync.Http.TestApp;

// An ordinary application, and a server for it, as processes that a trial can kill and put into a network of their own.
switch (args)
{
    case ["serve", string endPoint]:
        await ServeMode.RunAsync(IPEndPoint.Parse(endPoint));
        return 0;

    case ["upload", string store, string server, string sender, string attemptSeconds]:
        await ItemApplication.RunAsync(store, new Uri(server), sender, producers: 0, sync =>
            sync.AttemptTimeout = TimeSpan.FromSeconds(int.Parse(attemptSeconds, CultureInfo.InvariantCulture)));
        return 0;

    case ["post", string store, string server, string sender, string writeAhead]:
        await ItemApplication.RunAsync(store, new Uri(server), sender, producers: 0, sync => sync.WriteAhead = bool.Parse(writeAhead));
        return 0;

    case ["queue-and-replay", string store, string server, string sender, string producers]:
        await ItemApplication.RunAsync(store, new Uri(server), sender, int.Parse(producers, CultureInfo.InvariantCulture), sync =>
        {
            sync.MinBackoff = TimeSpan.FromMilliseconds(20);
            sync.MaxBackoff = TimeSpan.FromMilliseconds(200);
            sync.ReplayInterval = TimeSpan.FromMilliseconds(100);
            sync.TriggerJitter = TimeSpan.FromMilliseconds(20);
        });
        return 0;

    default:
        await Console.Error.WriteLineAsync("""
            serve ADDRESS:PORT                                     counts what arrives
            upload STORE SERVER SENDER ATTEMPT-SECONDS             posts what it is told to; otherwise the library's defaults
            post STORE SERVER SENDER WRITE-AHEAD                   posts what it is told to, written down first or not
            queue-and-replay STORE SERVER SENDER PRODUCERS         posts without a pause, with short waits
            """);
        return 2;
}
