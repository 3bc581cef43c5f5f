using System.CommandLine;
using System.Globalization;
using Spectre.Console;

namespace BgSync.Tool.Demo;

/// <summary><c>bgsync demo</c>: a server that goes away, an application that is killed, and nothing is lost.</summary>
internal static class DemoCommand
{
    private const int Interrupted = 130;

    public static Command Create()
    {
        var images = new Option<int>("--images") { Description = "How many images are uploaded.", DefaultValueFactory = _ => 8 };
        var orders = new Option<int>("--orders") { Description = "How many orders are placed.", DefaultValueFactory = _ => 12 };
        var keep = new Option<bool>("--keep") { Description = "Keeps the images and the queue's file." };
        foreach (var count in (Option<int>[])[images, orders])
        {
            count.Validators.Add(parsed =>
            {
                if (parsed.GetValueOrDefault<int>() is < 1 or > 1000)
                {
                    parsed.AddError($"{count.Name} must be from 1 to 1000.");
                }
            });
        }

        var command = new Command("demo", "Uploads orders and images while the server goes away and the application is killed.")
        {
            images, orders, keep,
        };
        command.SetAction((parsed, cancellationToken) =>
            RunAsync(parsed.GetValue(images), parsed.GetValue(orders), parsed.GetValue(keep), cancellationToken));
        return command;
    }

    private static async Task<int> RunAsync(int images, int orders, bool keep, CancellationToken interrupted)
    {
        var console = Terminal.Open();
        var directory = Directory.CreateTempSubdirectory("bgsync-demo-");
        var limit = TimeSpan.FromSeconds(50) + (TimeSpan.FromSeconds(1) * images);
        using var deadline = new CancellationTokenSource(limit, TimeProvider.System);
        using var end = CancellationTokenSource.CreateLinkedTokenSource(interrupted, deadline.Token);
        try
        {
            await using var script = new DemoScript(console, directory);
            return await script.PlayAsync(orders, images, end.Token) ? 0 : 1;
        }
        catch (OperationCanceledException) when (interrupted.IsCancellationRequested)
        {
            return Interrupted;
        }
        catch (OperationCanceledException) when (deadline.IsCancellationRequested)
        {
            return Fail(console, string.Create(
                CultureInfo.InvariantCulture, $"This step did not end within the {limit.TotalSeconds:0} s that the whole demo may take."));
        }
        catch (Exception failure) when (failure is DemoFailedException or IOException)
        {
            return Fail(console, failure.Message);
        }
        finally
        {
            Leave(console, directory, keep);
        }
    }

    private static int Fail(IAnsiConsole console, string message)
    {
        console.WriteLine();
        console.Write(new Text($"FAILED: {message}", Color.Red));
        console.WriteLine();
        return 1;
    }

    private static void Leave(IAnsiConsole console, DirectoryInfo directory, bool keep)
    {
        if (keep)
        {
            console.WriteLine($"Kept: {directory.FullName}");
        }
        else
        {
            directory.Delete(recursive: true);
        }
    }
}
