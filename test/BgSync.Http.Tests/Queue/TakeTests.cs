using System.Collections.Concurrent;
using BgSync.Http.Storage;
using BgSync.Http.Storage.Memory;
using BgSync.Http.Tests.Replay;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.DependencyInjection;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Queue;

/// <summary>Entries taken out of a queue by hand: shifted from its front, popped from its back.</summary>
public sealed class TakeTests : ReplayFixture
{
    private const string Orders = "https://api.example.com/orders";

    [Fact]
    public async Task Shift_takes_the_first_and_pop_the_last_until_none_is_left()
    {
        await using var app = Create();
        await PushAsync(app, "1", "2", "3");

        Assert.Equal("1", await BodyOfAsync(await app.Queue.ShiftAsync()));
        Assert.Equal("3", await BodyOfAsync(await app.Queue.PopAsync()));
        Assert.Equal("2", await BodyOfAsync(await app.Queue.PopAsync()));
        Assert.Null(await app.Queue.PopAsync());
        Assert.Null(await app.Queue.ShiftAsync());

        Assert.Equal(default, await app.Queue.CountAsync());
        Assert.Equal(3, app.Logs.Lines.Count(line => line.EventId == 2011));
    }

    [Theory]
    [InlineData(10)]
    [InlineData(400_000)]
    public async Task A_taken_entry_can_be_read_and_sent_and_put_back_as_it_was(int length)
    {
        await using var server = new RawServer(Scripts.Respond(201));
        await using var app = Create();
        var bytes = TestBytes.Random(length);
        var made = Clock.GetUtcNow() - TimeSpan.FromHours(1);
        using var request = new HttpRequestMessage(HttpMethod.Put, server.Uri) { Content = new ByteArrayContent(bytes) };
        request.Headers.Add("X-Kind", "order");
        request.SetBackgroundSyncMetadata(new Dictionary<string, string> { ["title"] = "apples" });
        var id = await app.Queue.PushAsync(request, made);

        using var taken = (await app.Queue.ShiftAsync())!;
        Assert.Equal((id, made, "apples"), (taken.Entry.Id, taken.Entry.Timestamp, taken.Entry.Metadata["title"]));
        await using (var read = await taken.Request.Content!.ReadAsStreamAsync())
        {
            Assert.Equal(bytes[..5], await ReadAsync(read, 5));
        }

        var back = await app.Queue.UnshiftAsync(taken.Request, taken.Entry.Timestamp);
        using var response = await app.Client.SendAsync(taken.Request);

        Assert.True(bytes.AsSpan().SequenceEqual(Assert.Single(server.Requests).Body.Span));
        Assert.Equal(["order"], server.Requests[0].ValuesOf("X-Kind"));
        var entry = Assert.Single(await app.EntriesAsync());
        Assert.Equal((back, made, "apples"), (entry.Id, entry.Timestamp, entry.Metadata["title"]));
        Assert.Equal(bytes, await app.BodyOfAsync(back));
    }

    [Fact]
    public async Task A_taken_entry_keeps_its_priority_when_it_is_put_back()
    {
        await using var app = Create();
        await PushAsync(app, "normal");
        using var urgent = Post("urgent");
        urgent.SetBackgroundSyncPriority(EntryPriority.High);
        await app.Queue.PushAsync(urgent);

        using var taken = (await app.Queue.ShiftAsync())!;
        await app.Queue.PushAsync(taken.Request, taken.Entry.Timestamp);

        Assert.Equal("urgent", await BodyOfAsync(await app.Queue.ShiftAsync()));
        Assert.Equal("normal", await BodyOfAsync(await app.Queue.ShiftAsync()));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task What_is_past_its_retention_becomes_a_dead_letter_on_the_way(bool fromFront)
    {
        await using var app = Create();
        var old = Clock.GetUtcNow() - TimeSpan.FromDays(8);
        await PushAsync(app, "1");
        await app.Queue.PushAsync(Post("2"), old);
        await PushAsync(app, "3");
        await app.Queue.UnshiftAsync(Post("0"), old);
        await app.Queue.PushAsync(Post("4"), old);
        Assert.Equal((5, 3, 0), await CountAsync());

        var taken = new List<string>();
        while ((fromFront ? await app.Queue.ShiftAsync() : await app.Queue.PopAsync()) is { } entry)
        {
            taken.Add(await BodyOfAsync(entry));
        }

        Assert.Equal(fromFront ? ["1", "3"] : ["3", "1"], taken);
        Assert.Equal((0, 0, 3), await CountAsync());
        Assert.All(await app.DeadLettersAsync(), letter => Assert.Equal(DeadLetterCause.Expired, letter.Cause));
        Assert.Equal(3, app.Logs.Lines.Count(line => line.EventId == 2005));

        async Task<(long Live, long Expired, long Dead)> CountAsync() =>
            await app.Queue.CountAsync() is var counts ? (counts.Pending, counts.Expired, counts.DeadLettered) : default;
    }

    [Fact]
    public async Task An_entry_survives_exactly_at_the_end_of_its_retention()
    {
        await using var app = Create();
        await PushAsync(app, "1");

        Clock.Advance(TimeSpan.FromDays(7));

        Assert.Equal("1", await BodyOfAsync(await app.Queue.PopAsync()));
    }

    [Fact]
    public async Task What_is_in_flight_is_passed_over()
    {
        var answer = new TaskCompletionSource();
        await using var server = SlowServer(answer.Task);
        await using var app = await StartAsync();
        await app.Queue.PushAsync(new HttpRequestMessage(HttpMethod.Post, server.Uri) { Content = new StringContent("sending") });
        await Eventually.TrueAsync(() => server.Requests.Count == 1, "the first is being sent");
        await app.Queue.PushAsync(new HttpRequestMessage(HttpMethod.Post, server.Uri) { Content = new StringContent("waiting") });

        Assert.Equal("waiting", await BodyOfAsync(await app.Queue.ShiftAsync()));
        Assert.Null(await app.Queue.ShiftAsync());
        Assert.Null(await app.Queue.PopAsync());

        answer.SetResult();
        await EmptyAsync(app);
        Assert.Single(server.Requests);
    }

    [Fact(Timeout = 60_000)]
    public async Task Several_takers_and_a_replay_share_a_queue_and_nothing_is_had_twice_or_lost()
    {
        await using var server = new RawServer(Scripts.Respond(201));
        await using var app = Create(sync => sync.LaneBy(static request => request.RequestUri!.AbsolutePath));
        for (var i = 0; i < 120; i++)
        {
            await app.Queue.PushAsync(
                new HttpRequestMessage(HttpMethod.Post, new Uri(server.Uri, $"{i % 4}")) { Content = new StringContent($"{i}") });
        }

        var had = new ConcurrentQueue<string>();
        await Task.WhenAll(
            app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan),
            Task.Run(() => TakeAllAsync(() => app.Queue.PopAsync())),
            Task.Run(() => TakeAllAsync(() => app.Queue.ShiftAsync())),
            Task.Run(() => TakeAllAsync(() => app.Queue.ShiftAsync())));
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.NotEmpty(had);
        Assert.Equal(
            Enumerable.Range(0, 120).Select(i => $"{i}").Order(),
            had.Concat(server.Requests.Select(request => request.Text)).Order());
        Assert.Equal(default, await app.Queue.CountAsync());

        async Task TakeAllAsync(Func<ValueTask<TakenEntry?>> take)
        {
            while (await take() is { } taken)
            {
                had.Enqueue(await BodyOfAsync(taken));
            }
        }
    }

    [Fact]
    public async Task What_is_edited_while_it_is_taken_is_taken_as_edited()
    {
        FaultyStore? store = null;
        await using var app = Create(
            services: services => services.AddSingleton<IQueueStore>(store = new FaultyStore(new MemoryQueueStore(Clock))));
        await PushAsync(app, "old");
        var id = Assert.Single(await app.EntriesAsync()).Id;
        var edits = 1;
        store!.Before = operation =>
        {
            if (operation == nameof(IQueueStore.RemoveAsync) && edits-- > 0)
            {
                app.Queue.EditAsync(id, edit => edit.Request.Content = new StringContent("new")).AsTask().GetAwaiter().GetResult();
            }
        };

        Assert.Equal("new", await BodyOfAsync(await app.Queue.PopAsync()));
        Assert.Equal(default, await app.Queue.CountAsync());
    }

    [Theory]
    [InlineData("UPDATE entry SET uri = 'http://else.example' WHERE id = 2")]
    [InlineData("UPDATE body_chunk SET bytes = zeroblob(length(bytes))")]
    public async Task What_cannot_be_read_is_passed_over_and_stays(string damage)
    {
        await using var app = Create();
        await PushAsync(app, "1", new string('x', 300_000), "3");
        await using (var connection = new SqliteConnection($"Data Source={app.Path};Pooling=False"))
        {
            await connection.OpenAsync();
            await using var command = connection.CreateCommand();
            command.CommandText = damage;
            Assert.NotEqual(0, await command.ExecuteNonQueryAsync());
        }

        Assert.Equal("3", await BodyOfAsync(await app.Queue.PopAsync()));
        Assert.Equal("1", await BodyOfAsync(await app.Queue.PopAsync()));
        Assert.Null(await app.Queue.PopAsync());
        Assert.Equal(1, (await app.Queue.CountAsync()).Pending);
    }

    [Fact]
    public async Task What_the_store_would_not_remove_is_not_returned()
    {
        FaultyStore? store = null;
        await using var app = Create(
            services: services => services.AddSingleton<IQueueStore>(store = new FaultyStore(new MemoryQueueStore(Clock))));
        await PushAsync(app, "1");
        store!.Before = operation =>
        {
            if (operation == nameof(IQueueStore.RemoveAsync))
            {
                throw new QueueStoreException(StoreFault.Full, "The disk is full.");
            }
        };

        await Assert.ThrowsAsync<QueueStoreException>(async () => await app.Queue.PopAsync());

        Assert.Equal(1, (await app.Queue.CountAsync()).Pending);
    }

    private static RawServer SlowServer(Task answer) => new(async (connection, cancellationToken) =>
    {
        await connection.ReadRequestAsync(cancellationToken);
        await answer.WaitAsync(cancellationToken);
        await connection.RespondAsync(201, "", [], cancellationToken);
    });

    private static HttpRequestMessage Post(string body) => new(HttpMethod.Post, Orders) { Content = new StringContent(body) };

    private static async Task PushAsync(TestApplication app, params string[] bodies)
    {
        foreach (var body in bodies)
        {
            await app.Queue.PushAsync(Post(body));
        }
    }

    private static async Task<string> BodyOfAsync(TakenEntry? taken)
    {
        Assert.NotNull(taken);
        using (taken)
        {
            return await taken.Request.Content!.ReadAsStringAsync();
        }
    }

    private static async Task<byte[]> ReadAsync(Stream stream, int count)
    {
        var bytes = new byte[count];
        await stream.ReadExactlyAsync(bytes);
        return bytes;
    }
}
