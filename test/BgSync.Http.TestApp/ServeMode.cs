using System.Net;

namespace BgSync.Http.TestApp;

/// <summary>The server as a process: a line for each arrival, until standard input ends.</summary>
internal static class ServeMode
{
    public static async Task RunAsync(IPEndPoint endPoint)
    {
        await using var server = new CountingServer(endPoint)
        {
            Arrived = arrival => Console.Out.WriteLine(
                $"ARRIVED {arrival.Item.Lane} {arrival.Item.Id} {arrival.IdempotencyKey} {arrival.Sender} {arrival.IsWhole}"),
        };
        await server.OpenAsync();
        Console.Out.WriteLine("READY");
        while (await Console.In.ReadLineAsync() is not null)
        {
        }
    }
}
