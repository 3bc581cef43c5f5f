using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Handler;

/// <summary>A function of the application that throws makes no request fail that would have succeeded.</summary>
public sealed class CallbackTests
{
    private static readonly Uri _uri = new("http://api.test/orders");

    private readonly FakeWire _wire = new() { IsOnline = true };

    public static TheoryData<string, Action<BackgroundSyncOptions>> Keys => new()
    {
        { "LaneBy", static sync => sync.LaneBy(static _ => throw new InvalidCastException("mine")) },
        { "CoalesceBy", static sync => sync.CoalesceBy(static _ => throw new InvalidCastException("mine")) },
    };

    [Theory]
    [MemberData(nameof(Keys), DisableDiscoveryEnumeration = true)]
    public async Task A_key_that_throws_is_not_asked_for_when_the_server_answers(string name, Action<BackgroundSyncOptions> configure)
    {
        await using var app = new TestApplication(configure, primary: () => _wire);

        using var response = await app.Client.PostAsync(_uri, new StringContent("order"));

        Assert.Single(_wire.Received);
        Assert.NotEmpty(name);
    }

    [Theory]
    [MemberData(nameof(Keys), DisableDiscoveryEnumeration = true)]
    public async Task A_key_that_throws_is_named_when_the_request_is_to_be_queued(string name, Action<BackgroundSyncOptions> configure)
    {
        _wire.IsOnline = false;
        await using var app = new TestApplication(configure, primary: () => _wire);

        var failure = await Assert.ThrowsAsync<HttpRequestException>(() => app.Client.PostAsync(_uri, new StringContent("order")));

        Assert.Contains(name, failure.GetNotQueuedReason(), StringComparison.Ordinal);
        Assert.Empty(await app.EntriesAsync());
    }

    [Theory]
    [MemberData(nameof(Keys), DisableDiscoveryEnumeration = true)]
    public async Task A_key_that_throws_goes_to_the_caller_of_PushAsync(string name, Action<BackgroundSyncOptions> configure)
    {
        await using var app = new TestApplication(configure, primary: () => _wire);

        await Assert.ThrowsAsync<InvalidCastException>(async () => await app.Queue.PushAsync(new(HttpMethod.Post, _uri)));

        Assert.NotEmpty(name);
    }

    [Fact]
    public async Task A_lane_that_throws_lets_the_request_overtake()
    {
        await using var app = new TestApplication(
            sync =>
            {
                sync.Overtaking = Overtaking.Never;
                sync.LaneBy(static _ => throw new InvalidCastException("mine"));
            },
            primary: () => _wire);

        using var response = await app.Client.PostAsync(_uri, new StringContent("order"));

        Assert.Single(_wire.Received);
        Assert.Contains("LaneBy", Assert.Single(app.Logs.Lines, static line => line.EventId == 2061).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_default_decides_where_ClassifyFailure_throws()
    {
        _wire.IsOnline = false;
        await using var app = new TestApplication(
            static sync => sync.ClassifyFailure = static _ => throw new InvalidCastException("mine"), primary: () => _wire);

        await Assert.ThrowsAsync<RequestQueuedException>(() => app.Client.PostAsync(_uri, new StringContent("order")));

        Assert.Single(await app.EntriesAsync());
        Assert.Contains(
            "ClassifyFailure", Assert.Single(app.Logs.Lines, static line => line.EventId == 2061).Message, StringComparison.Ordinal);
    }
}
