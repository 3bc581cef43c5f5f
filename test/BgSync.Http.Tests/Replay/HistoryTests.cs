using System.Collections.Concurrent;
using System.Net;
using BgSync.Http.Storage;
using BgSync.Http.Storage.Memory;
using Microsoft.Extensions.DependencyInjection;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Replay;

/// <summary>The history of the attempts at an entry.</summary>
public sealed class HistoryTests : ReplayFixture
{
    [Fact]
    public async Task A_dead_letter_tells_every_attempt_that_it_died_of()
    {
        await using var server = new RawServer(RawServer.Sequence(Scripts.Respond(503), Scripts.Respond(500), Scripts.Respond(422)));
        var told = new ConcurrentQueue<DeadLetter>();
        await using var app = Create(sync => sync.OnDeadLettered = (letter, _) =>
        {
            told.Enqueue(letter);
            return Task.CompletedTask;
        });
        await QueueWhileDownAsync(app, server, "1");
        var start = Clock.GetUtcNow();
        for (var i = 0; i < 3; i++)
        {
            await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
            Clock.Advance(TimeSpan.FromMinutes(1));
        }

        var letter = Assert.Single(await app.DeadLettersAsync());
        Assert.Equal(
            [
                new(start, 503, "The server answered 503."),
                new(start.AddMinutes(1), 500, "The server answered 500."),
                new(start.AddMinutes(2), 422, "The server answered 422."),
            ],
            letter.History);
        await Eventually.TrueAsync(() => !told.IsEmpty, "the application is told");
        Assert.Equal(letter.History, Assert.Single(told).History);
    }

    [Fact]
    public async Task An_entry_that_waits_tells_the_live_attempt_and_those_after_it()
    {
        await using var server = new RawServer(RawServer.Sequence(Scripts.CloseAfterRequest(), Scripts.Respond(502)));
        await using var app = Create();
        await QueueAsync(app, server.Uri, "1");
        var id = Assert.Single(await app.EntriesAsync()).Id;

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal([null, 502], (await app.Queue.GetHistoryAsync(id)).Select(attempt => attempt.StatusCode));
    }

    [Fact]
    public async Task A_live_response_for_which_the_request_is_queued_is_told_with_its_status()
    {
        await using var server = new RawServer(Scripts.Respond(503));
        await using var app = Create(sync => sync.QueuedStatuses.Add(HttpStatusCode.ServiceUnavailable));
        await QueueAsync(app, server.Uri, "1");

        var id = Assert.Single(await app.EntriesAsync()).Id;

        Assert.Equal(503, Assert.Single(await app.Queue.GetHistoryAsync(id)).StatusCode);
    }

    [Fact]
    public async Task Being_offline_is_no_attempt_and_a_demand_for_credentials_is_one()
    {
        await using var server = new RawServer(Scripts.Respond(401));
        await using var app = Create();
        await server.StopAsync();
        await QueueAsync(app, server.Uri, "1");
        var id = Assert.Single(await app.EntriesAsync()).Id;

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        Assert.Empty(await app.Queue.GetHistoryAsync(id));

        server.Start();
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        Assert.Equal([401], (await app.Queue.GetHistoryAsync(id)).Select(attempt => attempt.StatusCode));
    }

    [Fact]
    public async Task A_dead_letter_is_told_of_although_its_history_cannot_be_read()
    {
        var told = new ConcurrentQueue<DeadLetter>();
        await using var server = new RawServer(Scripts.Respond(422));
        using var memory = new MemoryQueueStore(Clock);
        var store = new FaultyStore(memory)
        {
            Before = static operation =>
            {
                if (operation == nameof(IQueueStore.GetHistoryAsync))
                {
                    throw new QueueStoreException(StoreFault.Locked, "The file is locked.");
                }
            },
        };
        await using var app = Create(
            sync => sync.OnDeadLettered = (letter, _) =>
            {
                told.Enqueue(letter);
                return Task.CompletedTask;
            },
            services: services => services.AddSingleton<IQueueStore>(store));
        await QueueWhileDownAsync(app, server, "1");

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        await Eventually.TrueAsync(() => !told.IsEmpty, "the application is told");
        Assert.Equal((422, 0), (Assert.Single(told).StatusCode, told.Single().History.Count));
        Assert.Equal([422], Assert.Single(await app.DeadLettersAsync()).History.Select(attempt => attempt.StatusCode));
    }
}
