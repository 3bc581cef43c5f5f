using BgSync.Http.Tests.Replay;
using Microsoft.Extensions.DependencyInjection;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Handler;

/// <summary><see cref="Overtaking.Never"/> before a handler inside that ignores its cancellation token and never returns.</summary>
public sealed class StubbornHandlerTests : ReplayFixture
{
    [Fact]
    public async Task Wait_for_an_entry_that_hangs_in_it_ends_by_itself()
    {
        var hanging = new TaskCompletionSource();
        var isStubborn = false;
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create(
            static sync =>
            {
                sync.Overtaking = Overtaking.Never;
                sync.AttemptTimeout = TimeSpan.FromSeconds(10);
            },
            inner: builder => builder.AddHttpMessageHandler(() => new StubbornHandler(() => isStubborn ? hanging.Task : Task.CompletedTask)));
        await QueueWhileDownAsync(app, server, "entry");
        isStubborn = true;

        var live = app.Client.PostAsync(server.Uri, new StringContent("live"));
        await AdvanceUntilAsync(() => live.IsCompleted, "the wait ends");

        await Assert.ThrowsAsync<RequestQueuedException>(() => live);
        Assert.Equal(2, (await app.Queue.CountAsync()).Pending);
        Assert.Empty(server.Requests);
        hanging.SetCanceled();
    }

    private sealed class StubbornHandler(Func<Task> before) : DelegatingHandler
    {
        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            await before();
            return await base.SendAsync(request, cancellationToken);
        }
    }
}
