using System.CommandLine;
using System.Diagnostics;
using BgSync.Http.Benchmarks.Children;
using BgSync.Http.Benchmarks.Measuring;
using BgSync.Http.Benchmarks.Queues;

namespace BgSync.Http.Benchmarks.Bodies;

/// <summary>An application that queues the same file again and again, and sends it, watching its own memory.</summary>
internal static class BodyChild
{
    public const string Name = "bodies";

    public static Command CreateCommand()
    {
        var store = new Argument<string>("store-folder");
        var server = new Argument<string>("server");
        var file = new Argument<string>("file");
        var copies = new Argument<int>("copies");
        Command command = new(Name) { store, server, file, copies };
        command.SetAction(result => RunAsync(
            result.GetValue(store)!, new Uri(result.GetValue(server)!), result.GetValue(file)!, result.GetValue(copies)));
        return command;
    }

    private static async Task RunAsync(string folder, Uri server, string file, int copies)
    {
        double queueing, replaying;
        long idle, peak;
        await using (var application = new Application(new SqliteSubject(), folder, server))
        {
            // Once with little, so that what is loaded once is loaded.
            await application.PushAsync(new Uri(server, "/warm"), new ByteArrayContent([1]));
            await application.Queue.ReplayAsync(TimeSpan.FromMinutes(1));
            GC.Collect();
            ProcessReading.ForgetOwnPeak();
            idle = ProcessReading.OwnMemory;

            queueing = (await Load.RunAsync(4, copies, async _ =>
            {
                using var content = new StreamContent(File.OpenRead(file));
                await application.PushAsync(new Uri(server, "/bodies"), content);
            })).Seconds;
            var started = Stopwatch.GetTimestamp();
            var summary = await application.Queue.ReplayAsync(TimeSpan.FromMinutes(30));
            ArgumentOutOfRangeException.ThrowIfNotEqual(summary.Delivered, copies);
            replaying = Stopwatch.GetElapsedTime(started).TotalSeconds;
            peak = ProcessReading.OwnPeak;
        }

        Console.WriteLine(new BodyResult(queueing, replaying, idle, peak, ProcessReading.WrittenToDisk));
    }
}
