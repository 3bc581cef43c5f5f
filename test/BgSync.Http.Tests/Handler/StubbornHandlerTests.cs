using BgSync.Http.Tests.Replay;
using Microsoft.Extensions.DependencyInjection;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Handler;

/// <summary><see cref="Overtaking.Never"/> before a handler inside that ignores its cancellation token and never returns.</summary>
public sealed class StubbornHandlerTests : ReplayFixture
{
    private static readonly TimeSpan _timeout = TimeSpan.FromSeconds(10);

    private readonly TaskCompletionSource _end = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile int _hanging;

    [Fact]
    public async Task Wait_for_an_entry_that_hangs_in_it_ends_by_itself()
    {
        var isStubborn = false;
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = CreateOverStubborn(() => isStubborn);
        await QueueWhileDownAsync(app, server, "entry");
        isStubborn = true;

        var live = app.Client.PostAsync(server.Uri, new StringContent("live"));
        await AdvanceUntilAsync(() => live.IsCompleted, "the wait ends");

        await Assert.ThrowsAsync<RequestQueuedException>(() => live);
        Assert.Equal(2, (await app.Queue.CountAsync()).Pending);
        Assert.Empty(server.Requests);
        _end.SetCanceled();
    }

    [Fact]
    public async Task Wait_for_a_live_request_that_hangs_in_it_ends_by_itself()
    {
        var isStubborn = true;
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = CreateOverStubborn(() => isStubborn);
        var first = app.Client.PostAsync(server.Uri, new StringContent("first"));
        await Eventually.TrueAsync(() => _hanging == 1, "the first hangs");
        isStubborn = false;

        var second = app.Client.PostAsync(server.Uri, new StringContent("second"));
        await AdvanceUntilAsync(() => second.IsCompleted, "the wait ends");

        await Assert.ThrowsAsync<RequestQueuedException>(() => first);
        await Assert.ThrowsAsync<RequestQueuedException>(() => second);
        Assert.Empty(server.Requests);
        _end.SetCanceled();
    }

    private TestApplication CreateOverStubborn(Func<bool> isStubborn) => Create(
        static sync =>
        {
            sync.Overtaking = Overtaking.Never;
            sync.AttemptTimeout = _timeout;
        },
        inner: builder => builder.AddHttpMessageHandler(() => new StubbornHandler(async () =>
        {
            if (isStubborn())
            {
                Interlocked.Increment(ref _hanging);
                await _end.Task;
            }
        })));

    private sealed class StubbornHandler(Func<Task> before) : DelegatingHandler
    {
        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            await before();
            return await base.SendAsync(request, cancellationToken);
        }
    }
}
