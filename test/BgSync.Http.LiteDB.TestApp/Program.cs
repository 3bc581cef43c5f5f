using System.Globalization;
using BgSync.Http.LiteDB.TestApp;
using BgSync.Http.TestApp;
using Microsoft.Extensions.DependencyInjection;

if (args is ["notes", string path, string password, string first, string writers])
{
    await NoteWriters.RunAsync(
        path,
        password == "-" ? null : password,
        long.Parse(first, CultureInfo.InvariantCulture),
        int.Parse(writers, CultureInfo.InvariantCulture));
    return 0;
}

return await ItemCommands.RunAsync(args, static store => store.Split(':', 2) switch
{
    ["litedb", string connection] => services => services.AddBackgroundSyncLiteDB(connection),
    _ => throw new FormatException($"{store} is not a LiteDB store."),
});
