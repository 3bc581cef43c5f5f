using BgSync.Http.Storage;
using BgSync.Http.Storage.Memory;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Replay;

/// <summary>A lane that keeps its place from entry to entry, while nothing else waits for it.</summary>
public sealed class GoingOnTests : ReplayFixture
{
    private static readonly string[] _bodies = [.. Enumerable.Range(0, 30).Select(static i => $"{i}")];

    [Fact]
    public async Task A_lane_goes_on_to_its_end_without_a_look_at_the_queue_for_each_entry()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var memory = new MemoryQueueStore(Clock);
        var looks = 0;
        var store = new FaultyStore(memory) { Before = name => looks += name == nameof(IQueueStore.GetScheduleAsync) ? 1 : 0 };
        await using var app = Create(services: services => services.Replace(ServiceDescriptor.Singleton<IQueueStore>(store)));
        await QueueWhileDownAsync(app, server, _bodies);
        looks = 0;

        Assert.Equal(_bodies.Length, (await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan)).Delivered);

        Assert.Equal(_bodies, server.Requests.Select(static request => request.Text));
        Assert.InRange(looks, 1, 5);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Lanes_that_wait_for_a_place_take_turns(int places)
    {
        await using var server = new RawServer(async (connection, cancellationToken) =>
        {
            await connection.ReadRequestAsync(cancellationToken);
            // The lane that waits longest is the next.
            Clock.Advance(TimeSpan.FromMilliseconds(1));
            await connection.RespondAsync(200, "", [], cancellationToken);
        });
        await using var app = Create(options =>
        {
            options.LaneBy(static request => request.RequestUri!.AbsolutePath);
            options.Replay.MaxConcurrentLanes = places;
        });
        await server.StopAsync();
        foreach (var round in Enumerable.Range(1, 5))
        {
            foreach (var lane in (string[])["a", "b", "c", "d"])
            {
                await QueueAsync(app, new Uri(server.Uri, lane), $"{round}");
            }
        }

        server.Start();
        Assert.Equal(20, (await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan)).Delivered);

        // Of three that wait, as many go first as can not have a place, and be slow to send, meanwhile.
        var sent = new Dictionary<string, int>();
        var turns = server.Requests.Select(static request => request.Target).ToList();
        for (var turn = 0; sent.Values.DefaultIfEmpty().Max() < 5; turn++)
        {
            var previous = turns.GetRange(0, turn).FindLastIndex(target => target == turns[turn]);
            Assert.Equal($"{sent[turns[turn]] = sent.GetValueOrDefault(turns[turn]) + 1}", server.Requests.ElementAt(turn).Text);
            Assert.True(previous < 0 || turn - previous > 4 - (2 * places) + 1, string.Join(' ', turns));
        }
    }

    [Fact]
    public async Task A_pause_ends_it_after_the_entry_under_way()
    {
        await using var app = Create();
        await using var server = AnsweringAfter(3, () => app.Queue.PauseAsync("enough").AsTask());
        await QueueWhileDownAsync(app, server, _bodies);

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal(3, server.Requests.Count);
        Assert.All(await app.EntriesAsync(), static entry => Assert.False(entry.IsLeased));
        await app.Queue.ResumeAsync();
        Assert.Equal(27, (await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan)).Delivered);
    }

    [Fact]
    public async Task A_replay_that_is_given_up_ends_it_after_the_entry_under_way()
    {
        using var enough = new CancellationTokenSource();
        await using var server = AnsweringAfter(3, enough.CancelAsync);
        await using var app = Create();
        await QueueWhileDownAsync(app, server, _bodies);

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan, enough.Token));

        Assert.InRange((await app.EntriesAsync()).Count, 27, 28);
        Assert.All(await app.EntriesAsync(), static entry => Assert.False(entry.IsLeased));
    }

    /// <summary>A server that does something before it answers a request of that number.</summary>
    private static RawServer AnsweringAfter(int number, Func<Task> act)
    {
        var requests = 0;
        return new RawServer(async (connection, cancellationToken) =>
        {
            await connection.ReadRequestAsync(cancellationToken);
            if (++requests == number)
            {
                await act();
            }

            await connection.RespondAsync(200, "", [], cancellationToken);
        });
    }
}
