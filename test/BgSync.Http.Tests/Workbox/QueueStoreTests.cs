using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Workbox;

/// <summary>workbox-background-sync/sw/lib/test-QueueStore.mjs: two queues in one store.</summary>
public sealed class QueueStoreTests : WorkboxFixture
{
    [Fact]
    public async Task No_34_A_queue_keeps_its_name()
    {
        await using var app = Open();

        Assert.Equal((TestApplication.QueueName, OtherName), (app.Queue.Name, Other(app).Name));
    }

    [Fact]
    public async Task No_35_Push_appends_an_entry_under_the_name_of_its_queue()
    {
        await using var app = Open();
        var made = Clock.GetUtcNow();
        List<long> ids = [];
        foreach (var (queue, name) in new[] { (app.Queue, "1"), (app.Queue, "2"), (Other(app), "3"), (Other(app), "4"), (app.Queue, "5") })
        {
            Clock.Advance(TimeSpan.FromSeconds(1));
            ids.Add(await queue.PushAsync(Post($"/{name}", note: name)));
        }

        Assert.Equal(Enumerable.Range(0, 5).Select(i => ids[0] + i), ids);
        var entries = (await app.EntriesAsync()).Concat(await Other(app).GetAllAsync().ToListAsync()).OrderBy(entry => entry.Id).ToList();
        Assert.Equal(["test", "test", "other", "other", "test"], entries.Select(entry => entry.Queue));
        Assert.Equal(["/1", "/2", "/3", "/4", "/5"], entries.Select(entry => entry.Request.Uri.AbsolutePath));
        Assert.Equal([1, 2, 3, 4, 5], entries.Select(entry => (entry.Timestamp - made).TotalSeconds));
        Assert.Equal(["1", "2", "3", "4", "5"], entries.Select(entry => entry.Metadata["name"]));
    }

    [Fact]
    public async Task No_36_Push_throws_if_not_given_a_request()
    {
        await using var app = Open();

        await Assert.ThrowsAsync<ArgumentNullException>(async () => await app.Queue.PushAsync(null!));
    }

    [Fact]
    public async Task No_37_Push_throws_if_not_given_an_address()
    {
        await using var app = Open();

        await Assert.ThrowsAsync<ArgumentException>(async () => await app.Queue.PushAsync(new HttpRequestMessage()));
    }

    [Fact]
    public async Task No_38_Unshift_prepends_an_entry_under_the_name_of_its_queue()
    {
        // An id says nothing of the order here, and so none is 0 or below, where Workbox puts an entry behind the others.
        await using var app = Open();
        await app.Queue.PushAsync(Post("/1"));

        foreach (var (queue, path) in new[] { (app.Queue, "/2"), (Other(app), "/3"), (Other(app), "/4"), (app.Queue, "/5") })
        {
            await queue.UnshiftAsync(Post(path));
        }

        Assert.Equal(["/5", "/2", "/1"], await PathsAsync(app.Queue));
        Assert.Equal(["/4", "/3"], await PathsAsync(Other(app)));
        Assert.All(await app.EntriesAsync(), entry => Assert.True(entry.Id > 0));
    }

    [Fact]
    public async Task No_39_Unshift_throws_if_not_given_a_request()
    {
        await using var app = Open();

        await Assert.ThrowsAsync<ArgumentNullException>(async () => await app.Queue.UnshiftAsync(null!));
    }

    [Fact]
    public async Task No_40_Unshift_throws_if_not_given_an_address()
    {
        await using var app = Open();

        await Assert.ThrowsAsync<ArgumentException>(async () => await app.Queue.UnshiftAsync(new HttpRequestMessage()));
    }

    [Fact]
    public async Task No_41_Shift_removes_the_first_entry_of_its_queue()
    {
        await using var app = Open();
        await PushInterleavedAsync(app);

        using var other = await Other(app).ShiftAsync();
        Assert.Equal("/2", other!.Request.RequestUri!.AbsolutePath);
        Assert.Equal(["/1", "/3", "/5"], await PathsAsync(app.Queue));
        Assert.Equal(["/4"], await PathsAsync(Other(app)));

        using var own = await app.Queue.ShiftAsync();
        Assert.Equal("/1", own!.Request.RequestUri!.AbsolutePath);
        Assert.Equal(["/3", "/5"], await PathsAsync(app.Queue));
        Assert.Equal(["/4"], await PathsAsync(Other(app)));
    }

    [Fact]
    public async Task No_42_Pop_removes_the_last_entry_of_its_queue()
    {
        await using var app = Open();
        await PushInterleavedAsync(app);

        using var other = await Other(app).PopAsync();
        Assert.Equal("/4", other!.Request.RequestUri!.AbsolutePath);
        Assert.Equal(["/1", "/3", "/5"], await PathsAsync(app.Queue));
        Assert.Equal(["/2"], await PathsAsync(Other(app)));

        using var own = await app.Queue.PopAsync();
        Assert.Equal("/5", own!.Request.RequestUri!.AbsolutePath);
        Assert.Equal(["/1", "/3"], await PathsAsync(app.Queue));
        Assert.Equal(["/2"], await PathsAsync(Other(app)));
    }

    [Fact]
    public async Task No_43_Get_all_returns_the_entries_of_its_queue()
    {
        await using var app = Open();
        await PushInterleavedAsync(app);

        Assert.Equal(["/1", "/3", "/5"], await PathsAsync(app.Queue));
        Assert.Equal(["/2", "/4"], await PathsAsync(Other(app)));
        await app.Queue.ClearAsync();
        await Other(app).ClearAsync();

        Assert.Empty(await PathsAsync(app.Queue));
        Assert.Empty(await PathsAsync(Other(app)));
    }

    [Fact]
    public async Task No_44_Count_returns_the_number_of_entries_of_its_queue()
    {
        await using var app = Open();
        await PushInterleavedAsync(app);

        Assert.Equal((3, 2), ((await app.Queue.CountAsync()).Pending, (await Other(app).CountAsync()).Pending));
        await app.Queue.ClearAsync();
        await Other(app).ClearAsync();

        Assert.Equal((0, 0), ((await app.Queue.CountAsync()).Pending, (await Other(app).CountAsync()).Pending));
    }

    [Fact]
    public async Task No_45_Remove_deletes_the_entry_of_an_id()
    {
        await using var app = Open();
        await PushAsync(app.Queue, "/1", "/2", "/3");
        var middle = (await app.EntriesAsync())[1].Id;

        // Workbox deletes an id whichever queue asks.
        Assert.False(await Other(app).RemoveAsync(middle));
        Assert.True(await app.Queue.RemoveAsync(middle));

        Assert.Equal(["/1", "/3"], await PathsAsync(app.Queue));
    }

    private static async Task PushInterleavedAsync(TestApplication app)
    {
        foreach (var (queue, path) in new[]
            { (app.Queue, "/1"), (Other(app), "/2"), (app.Queue, "/3"), (Other(app), "/4"), (app.Queue, "/5") })
        {
            await PushAsync(queue, path);
        }
    }
}
