using System.Net;
using BgSync.Http.Storage;
using BgSync.Http.Storage.Memory;
using BgSync.Http.Tests.Replay;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Handler;

/// <summary>Live requests that wait for an entry: only a replay can make them anew from its response.</summary>
public sealed class LivePrerequisiteTests : ReplayFixture
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_live_request_with_a_prerequisite_is_queued_unsent(bool isAsync)
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create();
        await QueueWhileDownAsync(app, server, "1");

        var queued = await Assert.ThrowsAsync<RequestQueuedException>(() => SendAsync(app, server, "2", prerequisite: 1, isAsync));

        Assert.Contains("it is to follow entry 1", queued.Message, StringComparison.Ordinal);
        Assert.Empty(server.Requests);
        var entry = (await app.Queue.FindAsync(queued.EntryId))!;
        Assert.Equal((1L, 0), (entry.Prerequisite!.Value, entry.Attempts));
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        Assert.Equal(["1", "2"], Texts(server));
    }

    [Fact]
    public async Task It_is_queued_also_when_its_prerequisite_was_delivered_already()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create();
        await QueueWhileDownAsync(app, server, "1");
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        await Assert.ThrowsAsync<RequestQueuedException>(() => SendAsync(app, server, "2", prerequisite: 1));

        Assert.Equal(["1"], Texts(server));
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        Assert.Equal(["1", "2"], Texts(server));
    }

    [Fact]
    public async Task Its_caller_is_told_as_of_any_queued_request()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create(sync => sync.WhenQueued = WhenQueued.ReturnAccepted);
        var first = await app.Queue.PushAsync(new HttpRequestMessage(HttpMethod.Post, server.Uri));

        using var response = await SendAsync(app, server, "2", first);

        Assert.Equal(HttpStatusCode.Accepted, response.StatusCode);
        Assert.True(response.RequestMessage!.TryGetBackgroundSyncEntryId(out var id));
        Assert.Equal(first, (await app.Queue.FindAsync(id))!.Prerequisite);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task One_that_cannot_wait_is_neither_sent_nor_queued(bool isAsync)
    {
        await using var server = new RawServer(Scripts.Respond(422));
        await using var app = Create();
        await QueueWhileDownAsync(app, server, "1");
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        var unknown = await Assert.ThrowsAsync<PrerequisiteException>(() => SendAsync(app, server, "2", 1_000_000, isAsync));
        var dead = await Assert.ThrowsAsync<PrerequisiteException>(() => SendAsync(app, server, "2", 1, isAsync));

        Assert.Contains("has no entry 1000000 to wait for", unknown.Message, StringComparison.Ordinal);
        Assert.Contains("it is a dead letter (Rejected)", dead.Message, StringComparison.Ordinal);
        Assert.Equal(["1"], Texts(server));
        Assert.Empty(await app.EntriesAsync());
    }

    [Fact]
    public async Task One_past_its_deadline_is_neither_sent_nor_queued()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create();
        var first = await app.Queue.PushAsync(new HttpRequestMessage(HttpMethod.Post, server.Uri));
        using var request = new HttpRequestMessage(HttpMethod.Put, server.Uri);
        request.SetBackgroundSyncPrerequisite(first);
        request.SetBackgroundSyncDeadline(Clock.GetUtcNow() - TimeSpan.FromSeconds(1));

        var failure = await Assert.ThrowsAnyAsync<HttpRequestException>(() => app.Client.SendAsync(request));

        Assert.Equal("its deadline or retention has passed", failure.GetNotQueuedReason());
        Assert.Empty(server.Requests);
        Assert.Equal(first, Assert.Single(await app.EntriesAsync()).Id);
    }

    [Fact]
    public async Task A_store_that_cannot_be_asked_leaves_the_caller_with_the_reason_and_sends_nothing()
    {
        await using var memory = new MemoryQueueStore(Clock);
        var store = new FaultyStore(memory);
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create(services: services => services.Replace(ServiceDescriptor.Singleton<IQueueStore>(store)));
        var first = await app.Queue.PushAsync(new HttpRequestMessage(HttpMethod.Post, server.Uri));
        store.Before = operation =>
        {
            if (operation == nameof(IQueueStore.GetReceiptAsync))
            {
                throw new QueueStoreException(StoreFault.Locked, "The disk is asleep.");
            }
        };

        var failure = await Assert.ThrowsAnyAsync<HttpRequestException>(() => SendAsync(app, server, "2", first));

        Assert.Equal("The disk is asleep.", failure.GetNotQueuedReason());
        Assert.Empty(server.Requests);
    }

    [Fact]
    public async Task A_live_request_that_may_overtake_nothing_is_queued_behind_one_that_waits()
    {
        await using var server = new RawServer(Scripts.Respond(503));
        await using var app = Create(sync => sync.Overtaking = Overtaking.Never);
        using var other = new HttpRequestMessage(HttpMethod.Post, server.Uri);
        other.SetBackgroundSyncLane("other");
        var first = await app.Queue.PushAsync(other);
        await Assert.ThrowsAsync<RequestQueuedException>(() => SendAsync(app, server, "2", first));

        var queued = await Assert.ThrowsAsync<RequestQueuedException>(() => SendAsync(app, server, "3", prerequisite: null));

        Assert.Contains("or for another entry", queued.InnerException!.Message, StringComparison.Ordinal);
        Assert.Empty(server.Requests);
        Assert.Equal(3, (await app.EntriesAsync()).Count);
    }

    private static async Task<HttpResponseMessage> SendAsync(
        TestApplication app, RawServer server, string body, long? prerequisite, bool isAsync = true)
    {
        using var request = new HttpRequestMessage(HttpMethod.Put, server.Uri) { Content = new StringContent(body) };
        if (prerequisite is { } id)
        {
            request.SetBackgroundSyncPrerequisite(id);
        }

        return await app.Client.SendAsync(request, isAsync);
    }

    private static IEnumerable<string> Texts(RawServer server) => server.Requests.Select(request => request.Text);
}
