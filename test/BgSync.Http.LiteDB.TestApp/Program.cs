using System.Globalization;
using BgSync.Http.LiteDB.TestApp;

// Adds and deletes notes until it is killed, and says so before and after: <path> <password or -> <first id> <writers>.
using var store = new NoteStore(args[0], args[1] == "-" ? null : args[1]);
var first = long.Parse(args[2], CultureInfo.InvariantCulture);
var writers = int.Parse(args[3], CultureInfo.InvariantCulture);
await Task.WhenAll(Enumerable.Range(0, writers).Select(writer => Task.Run(async () =>
{
    var mine = new Queue<long>();
    for (var id = first + writer; ; id += writers)
    {
        Say("add", id);
        await store.AddAsync(id);
        Say("added", id);
        mine.Enqueue(id);
        if (id % 3 != 0)
        {
            var gone = mine.Dequeue();
            Say("delete", gone);
            await store.DeleteAsync(gone);
            Say("deleted", gone);
        }
    }
})));

static void Say(string what, long id) => Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{what} {id}"));
