using BgSync.Http.Storage;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Workbox;

/// <summary>workbox-background-sync/sw/lib/test-QueueDb.mjs. The database is a SQLite file, and its rows are entries.</summary>
public sealed class QueueDbTests : WorkboxFixture
{
    [Fact]
    public async Task No_46_A_fresh_database_is_empty_and_keeps_all_of_its_first_entry()
    {
        await using var app = Open();
        Assert.Empty(await app.EntriesAsync());
        var made = Clock.GetUtcNow().AddHours(-1);

        var id = await app.Queue.PushAsync(Post("/one", "body", "meta"), made);

        Assert.Equal(1, id);
        var entry = (await app.Queue.FindAsync(id))!;
        Assert.Equal((id, TestApplication.QueueName, made), (entry.Id, entry.Queue, entry.Timestamp));
        Assert.Equal((HttpMethod.Post, Api + "/one"), (entry.Request.Method, entry.Request.Uri.AbsoluteUri));
        Assert.Equal(("meta", "body"), (entry.Metadata["name"], await TextAsync(app.Queue, id)));
    }

    [Fact]
    public async Task No_47_An_upgrade_from_version_1_keeps_what_is_queued()
    {
        // Workbox drops it.
        using var directory = new TempDirectory();
        File.Copy(Path.Combine(AppContext.BaseDirectory, "Storage", "Golden", "v1.db"), directory.File("queues.db"));
        await using var app = Open(directory: directory);

        var entries = await app.Store.ReadAsync("orders", QueueEnd.Front, CancellationToken.None).ToListAsync();
        Assert.Equal([4, 1, 2, 3], entries.Select(entry => entry.Id));

        Assert.Equal(6, await app.Queue.PushAsync(Post("/one")));
        Assert.Equal(4, (await app.Store.CountAsync("orders", CancellationToken.None)).Pending);
    }

    [Fact]
    public async Task No_48_A_database_of_the_version_before_a_restart_keeps_what_is_queued()
    {
        // Workbox drops it.
        using var directory = new TempDirectory();
        await using (var before = Open(directory: directory))
        {
            await PushAsync(before.Queue, "/one", "/two");
        }

        await using var app = Open(directory: directory);
        await PushAsync(app.Queue, "/three");

        Assert.Equal(
            [(1, "/one"), (2, "/two"), (3, "/three")],
            (await app.EntriesAsync()).Select(entry => (entry.Id, entry.Request.Uri.AbsolutePath)));
    }

    [Fact]
    public async Task No_49_The_first_of_all_entries_has_the_first_id()
    {
        await using var app = Open();
        await PushAsync(app.Queue, "/1");
        await PushAsync(Other(app), "/2");

        await Other(app).UnshiftAsync(Post("/3"));

        // To stand in front takes no number below the first: ids are given once, in the order of adding.
        Assert.Equal([1], (await app.EntriesAsync()).Select(entry => entry.Id));
        Assert.Equal([3, 2], await Other(app).GetAllAsync().Select(entry => entry.Id).ToListAsync());
    }

    [Fact]
    public async Task No_50_All_entries_are_read_by_queue_in_their_order()
    {
        await using var app = Open();
        await AddFiveAsync(app);

        Assert.Equal([(1, "/1"), (3, "/3"), (5, "/5")], await ReadAsync(app, TestApplication.QueueName, QueueEnd.Front));
        Assert.Equal([(2, "/2"), (4, "/4")], await ReadAsync(app, OtherName, QueueEnd.Front));
        await app.Store.ClearAsync(TestApplication.QueueName, 100, CancellationToken.None);
        await app.Store.ClearAsync(OtherName, 100, CancellationToken.None);

        Assert.Empty(await ReadAsync(app, TestApplication.QueueName, QueueEnd.Front));
        Assert.Empty(await ReadAsync(app, OtherName, QueueEnd.Front));
    }

    [Fact]
    public async Task No_51_Entries_are_counted_by_queue()
    {
        await using var app = Open();
        await AddFiveAsync(app);

        Assert.Equal((3, 2), await CountAsync());
        await app.Store.ClearAsync(TestApplication.QueueName, 100, CancellationToken.None);
        await app.Store.ClearAsync(OtherName, 100, CancellationToken.None);

        Assert.Equal((0, 0), await CountAsync());

        async Task<(long, long)> CountAsync() => (
            (await app.Store.CountAsync(TestApplication.QueueName, CancellationToken.None)).Pending,
            (await app.Store.CountAsync(OtherName, CancellationToken.None)).Pending);
    }

    [Fact]
    public async Task No_52_An_entry_is_deleted_by_its_id()
    {
        await using var app = Open();
        await AddFiveAsync(app);

        await app.Store.RemoveAsync(TestApplication.QueueName, 3, revision: null, CancellationToken.None);

        Assert.Equal([(1, "/1"), (5, "/5")], await ReadAsync(app, TestApplication.QueueName, QueueEnd.Front));
        Assert.Equal([(2, "/2"), (4, "/4")], await ReadAsync(app, OtherName, QueueEnd.Front));
    }

    [Fact]
    public async Task No_54_Added_entries_get_ids_in_turn_and_keep_their_order_and_fields()
    {
        await using var app = Open();
        var made = Clock.GetUtcNow();

        await app.Queue.PushAsync(Post("/1", "first", "a"));
        Clock.Advance(TimeSpan.FromSeconds(1));
        await app.Queue.PushAsync(Post("/2", "second", "b"));

        Assert.Equal(
            [(1, "/1", "a", made), (2, "/2", "b", made.AddSeconds(1))],
            (await app.EntriesAsync()).Select(
                entry => (entry.Id, entry.Request.Uri.AbsolutePath, entry.Metadata["name"], entry.Timestamp)));
        Assert.Equal(("first", "second"), (await TextAsync(app.Queue, 1), await TextAsync(app.Queue, 2)));
    }

    [Fact]
    public async Task No_55_The_first_entry_is_read_by_queue()
    {
        await using var app = Open();
        await AddFiveAsync(app);

        Assert.Equal((1, "/1"), (await ReadAsync(app, TestApplication.QueueName, QueueEnd.Front))[0]);
        Assert.Equal((2, "/2"), (await ReadAsync(app, OtherName, QueueEnd.Front))[0]);
    }

    [Fact]
    public async Task No_56_The_last_entry_is_read_by_queue()
    {
        await using var app = Open();
        await AddFiveAsync(app);

        Assert.Equal((5, "/5"), (await ReadAsync(app, TestApplication.QueueName, QueueEnd.Back))[0]);
        Assert.Equal((4, "/4"), (await ReadAsync(app, OtherName, QueueEnd.Back))[0]);
    }

    private static async Task AddFiveAsync(TestApplication app)
    {
        for (var i = 1; i <= 5; i++)
        {
            await PushAsync(i % 2 == 1 ? app.Queue : Other(app), $"/{i}");
        }
    }

    private static async Task<List<(long, string)>> ReadAsync(TestApplication app, string queue, QueueEnd from) =>
        await app.Store.ReadAsync(queue, from, CancellationToken.None)
            .Select(entry => (entry.Id, entry.Request.Uri.AbsolutePath))
            .ToListAsync();
}
