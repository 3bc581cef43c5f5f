using System.CommandLine;
using BgSync.Tool;
using BgSync.Tool.Demo;

RootCommand bgsync = new("Looks into queues of requests that wait for their server, and shows by a demo what they do.")
{
    DemoCommand.Create(),
    ListCommand.Create(),
    PostgresCommand.Create(),
    DemoApplication.CreateCommand(),
};

// Ctrl-C leaves a command the time to end its children and to remove its files.
return await bgsync.Parse(args).InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = TimeSpan.FromSeconds(10) });
