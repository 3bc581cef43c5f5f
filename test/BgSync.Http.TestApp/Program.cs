using BgSync.Http.TestApp;
using Microsoft.Extensions.DependencyInjection;

return await ItemCommands.RunAsync(args, static store => store.Split(':', 2) switch
{
    ["sqlite", string path] => services => services.AddBackgroundSyncSqlite(path),
    _ => throw new FormatException($"{store} is not a store."),
});
