using System.CommandLine;
using BgSync.Http;
using BgSync.Http.Storage;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Spectre.Console;

namespace BgSync.Tool;

/// <summary>
/// <c>bgsync list queues.db orders</c>, or <c>bgsync list orders --postgres …</c>: shows what waits in a queue, and changes nothing in it.
/// </summary>
internal static class ListCommand
{
    public static Command Create()
    {
        var names = new Argument<string[]>("file queue")
        {
            Description = "The store, such as queues.db, and the queue's name; with --postgres only the name.",
            Arity = new ArgumentArity(1, 2),
        };
        var postgres = new Option<string?>("--postgres")
        {
            Description = $"The database that the queue is in, such as \"Host=db;Database=app\"; without a value, what "
                + $"{PostgresCommand.Variable} says.",
            HelpName = "CONNECTION",
            Arity = ArgumentArity.ZeroOrOne,
        };
        var schema = PostgresCommand.SchemaOption();
        var command = new Command("list", "Shows the entries of a queue, the next to be sent first.") { names, postgres, schema };
        command.Validators.Add(result =>
        {
            var given = result.GetValue(names) ?? [];
            if (result.GetResult(postgres) is null && (given.Length != 2 || !File.Exists(given[0])))
            {
                result.AddError(given is [var file, _]
                    ? $"File does not exist: '{file}'." : "Write the file and the queue's name, such as: bgsync list queues.db orders");
            }
            else if (result.GetResult(postgres) is not null && given.Length != 1)
            {
                result.AddError("With --postgres write the queue's name only, such as: bgsync list orders --postgres \"Host=db\"");
            }
        });
        command.SetAction((parsed, cancellationToken) =>
        {
            var given = parsed.GetRequiredValue(names);
            var services = new ServiceCollection();
            if (parsed.GetResult(postgres) is null)
            {
                services.AddBackgroundSyncSqlite(Path.GetFullPath(given[0]));
                return RunAsync(services, given[1], cancellationToken);
            }

            var connection = parsed.GetValue(postgres) ?? Environment.GetEnvironmentVariable(PostgresCommand.Variable);
            if (string.IsNullOrEmpty(connection))
            {
                return PostgresCommand.FailAsync(new QueueStoreException(
                    StoreFault.Unavailable, $"Which database? Write --postgres CONNECTION, or set {PostgresCommand.Variable}."));
            }

            services.AddBackgroundSyncPostgreSql(connection, options =>
            {
                options.Schema = parsed.GetRequiredValue(schema);
                options.PollOnly = true;
            });
            return RunAsync(services, given[0], cancellationToken);
        });
        return command;
    }

    private static async Task<int> RunAsync(ServiceCollection services, string queue, CancellationToken cancellationToken)
    {
        await using var provider = services.BuildServiceProvider();
        var console = Terminal.Open();
        try
        {
            var store = provider.GetRequiredService<IQueueStore>();
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

            console.WriteLine($"{counts.Pending} waiting ({ByteSize.Format(counts.Bytes)}), {counts.DeadLettered} dead letters");
            return 0;
        }
        catch (Exception e) when (e is QueueStoreException or ArgumentException or OptionsValidationException)
        {
            return await PostgresCommand.FailAsync(e);
        }
    }
}
