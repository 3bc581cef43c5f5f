using System.CommandLine;
using BgSync.Http.Storage;
using Microsoft.Extensions.DependencyInjection;
using Spectre.Console;

namespace BgSync.Tool;

/// <summary><c>bgsync list queues.db orders</c>: shows what waits in a queue, and changes nothing in it.</summary>
internal static class ListCommand
{
    public static Command Create()
    {
        var file = new Argument<FileInfo>("file") { Description = "The store, such as queues.db." };
        var queue = new Argument<string>("queue") { Description = "The queue's name." };
        file.AcceptExistingOnly();

        var command = new Command("list", "Shows the entries of a queue, the next to be sent first.") { file, queue };
        command.SetAction((parsed, cancellationToken) =>
            RunAsync(parsed.GetRequiredValue(file), parsed.GetRequiredValue(queue), cancellationToken));
        return command;
    }

    private static async Task<int> RunAsync(FileInfo file, string queue, CancellationToken cancellationToken)
    {
        var services = new ServiceCollection();
        services.AddBackgroundSyncSqlite(file.FullName);
        await using var provider = services.BuildServiceProvider();
        var store = provider.GetRequiredService<IQueueStore>();
        var console = Terminal.Open();
        try
        {
            List<EntryRow> entries = [];
            await foreach (var entry in store.ReadAsync(queue, QueueEnd.Front, cancellationToken))
            {
                entries.Add(EntryRow.Of(entry));
            }

            var counts = await store.CountAsync(queue, cancellationToken);
            if (entries.Count > 0)
            {
                console.Write(EntryTable.Of(entries, TimeProvider.System.GetUtcNow(), console.Profile.Width));
            }

            if (await store.GetPauseAsync(queue, cancellationToken) is { } pause)
            {
                console.WriteLine($"Paused: {pause.Reason}");
            }

            console.WriteLine($"{counts.Live} waiting ({ByteSize.Format(counts.Bytes)}), {counts.Dead} dead letters");
            return 0;
        }
        catch (QueueStoreException fault)
        {
            await Console.Error.WriteLineAsync(fault.Message);
            return 1;
        }
    }
}
