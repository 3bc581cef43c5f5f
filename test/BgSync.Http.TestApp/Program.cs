using BgSync.Http.TestApp;
using Microsoft.Extensions.DependencyInjection;

return await ItemCommands.RunAsync(args, static store => store.Split(':', 2) switch
{
    ["sqlite", string path] => services => services.AddBackgroundSyncSqlite(path),
    ["postgres", string connection] => services => services.AddBackgroundSyncPostgreSql(
        connection, postgres => postgres.OwnerTimeout = TimeSpan.FromSeconds(5)),
    _ => throw new FormatException($"{store} is not a store."),
});
