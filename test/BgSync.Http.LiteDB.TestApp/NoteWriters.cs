using System.Globalization;

namespace BgSync.Http.LiteDB.TestApp;

/// <summary>Adds and deletes notes until it is killed, and says so before and after.</summary>
internal static class NoteWriters
{
    public static async Task RunAsync(string path, string? password, long first, int writers)
    {
        using var store = new NoteStore(path, password);
        await Task.WhenAll(Enumerable.Range(0, writers).Select(writer => Task.Run(() => WriteAsync(store, first + writer, writers))));
    }

    private static async Task WriteAsync(NoteStore store, long first, int step)
    {
        var mine = new Queue<long>();
        for (var id = first; ; id += step)
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
    }

    private static void Say(string what, long id) => Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{what} {id}"));
}
