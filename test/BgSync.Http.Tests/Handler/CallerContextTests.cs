using System.Runtime.CompilerServices;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Handler;

/// <summary>The things that a caller has in its <see cref="ExecutionContext"/> end with its call, though the queue lives on.</summary>
public sealed class CallerContextTests
{
    private static readonly AsyncLocal<object?> _ofCaller = new();

    [Theory]
    [InlineData(WhenQueued.Throw, false)]
    [InlineData(WhenQueued.Throw, true)]
    [InlineData(WhenQueued.ReturnAccepted, true)]
    public async Task The_ExecutionContext_of_the_first_caller_is_not_kept_alive(WhenQueued whenQueued, bool isStarted)
    {
        await using var app = new TestApplication(
            sync =>
            {
                sync.WhenQueued = whenQueued;
                sync.WriteAhead = isStarted;
            },
            primary: static () => new StubHandler(static _ => throw new HttpRequestException(HttpRequestError.ConnectionError)));
        if (isStarted)
        {
            await app.Sync.StartAsync();
        }

        var values = await SendAsync(app);

        await Eventually.TrueAsync(() => IsCollected(values), "the value of the caller is collected");
        Assert.Single(await app.EntriesAsync());
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static Task<WeakReference> SendAsync(TestApplication app) => Task.Run(async () =>
    {
        _ofCaller.Value = new object();
        await Record.ExceptionAsync(() => app.Client.PostAsync("http://api.test/orders", new StringContent("order")));
        return new WeakReference(_ofCaller.Value);
    });

    private static bool IsCollected(WeakReference value)
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        return !value.IsAlive;
    }
}
